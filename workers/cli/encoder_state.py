"""Which encoder is in use, and how far another one has prepared, for ``wildtag encoder status``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from workers.cli import encoder_elsewhere
from workers.cli.console import clean
from workers.lifecycle.times import rfc3339

if TYPE_CHECKING:
    from workers.wiring.wiring import Wiring


def state_of(now: Wiring) -> dict[str, Any]:
    """The encoder in use, and how far another one has prepared, as JSON values."""
    from workers.wiring.dispatch import feed_replay  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.encoder_change import next_settings, preparation  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    replay = feed_replay(now).read()
    body: dict[str, Any] = {"encoder": now.settings.encoder, "space": now.space.id, "change": None, "feed": None}
    if replay is not None:
        body["feed"] = {"since": rfc3339(replay.since), "rate": replay.rate, "added": replay.added}
    if (change := now.encoders.change()) is not None:
        next_ = Wiring(next_settings(now.settings, change))
        found = preparation(now, next_, change.space).run(submit=False)
        body["change"] = {
            "encoder": change.encoder, "space": change.space, "since": rfc3339(change.since), "images": found.images,
            "prepared": found.prepared, "missing": found.missing, "refused": sorted(found.refused),
            "feeder": encoder_elsewhere.feeder_of(now),
        }  # fmt: skip
    return body


def state_lines(body: dict[str, Any]) -> Iterator[str]:
    """The same, for people."""
    yield f"In use: {clean(body['encoder'])} (space {clean(body['space'])})"
    if (feed := body["feed"]) is not None:
        yield f"Since the switch, {feed['added']:,} records were added to the feed, {feed['rate']:g} a second"
    if (change := body["change"]) is None:
        yield "No other encoder is being prepared."
        return
    yield (
        f"{clean(change['encoder'])} (space {clean(change['space'])}) has prepared {change['prepared']:,} of"
        f" {change['images']:,} images since {change['since']}; {change['missing']:,} are missing,"
        f" {len(change['refused']):,} refused"
    )
    yield from encoder_elsewhere.feeder_lines(change["feeder"])
