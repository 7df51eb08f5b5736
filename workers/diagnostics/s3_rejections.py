"""Name the cause if notifications arrive and cannot be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from vectordb.errors import WildtagError
from workers.diagnostics.check import Check
from workers.events.sink import EventSink, StoredRejection

RECENT_S = 86_400.0
LISTED = "`wildtag events rejected` lists them, and with --json what they contain"
UNNAMED = (
    "the server sends events without a readable key, and each of them brings the sweep forward: update the server, or"
    " use its listen API or the sweep alone"
)
REMEDIES = (
    ("confirm a subscription", "open the SubscribeURL of the message once"),
    ("which object it is about", UNNAMED),
    ("names no bucket", "have the server name its bucket in its events"),
    ("over S3 only", "send the notifications of the S3 server itself"),
    ("larger than", "have the sender split its notifications"),
)  # fmt: skip


def rejection_checks(event_sink: EventSink, began: float, now: float) -> Iterator[Check]:
    """A note for each reason for which notifications were rejected within a day, the most frequent first.

    ``began``: of the test (Unix seconds); rejections since then are probably its events.
    """
    try:
        recent = [one for one in event_sink.rejected() if now - one.at < RECENT_S]
    except WildtagError:
        return  # Redis became unavailable, which others report
    reasons = Counter(one.rejected.reason for one in recent)
    for reason, count in reasons.most_common(3):
        yield _note(reason, count, [one for one in recent if one.rejected.reason == reason], began, now)


def _note(reason: str, count: int, found: list[StoredRejection], began: float, now: float) -> Check:
    during = sum(one.at >= began for one in found)
    when = f"{during:,} of them during this test" if during else f"the last one {now - found[0].at:,.0f} s ago"
    detail = (
        f"{count:,} notifications from {found[0].rejected.source} could not be read within a day, {when}: {reason}"
    )
    remedy = next((f"{remedy}. " for part, remedy in REMEDIES if part in reason), "")
    return Check.note("rejected", detail, f"{remedy}{LISTED}")
