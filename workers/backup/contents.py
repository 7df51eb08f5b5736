"""What a backup has of each key of the Redis layout, with the reason.

``SAVED``: the value as it is. ``MADE``: it is not saved, and is made again from others when a backup is restored.
``LEFT``: it is left out. A test compares the table with ``workers.redis.keys``, so no new key is forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from workers.redis.connection import raw
from workers.settings.encoder_in_use import NEXT
from workers.settings.settings import QUEUES

Treatment = Literal["saved", "made", "left"]
SAVED: Treatment = "saved"
MADE: Treatment = "made"
LEFT: Treatment = "left"

Kind = Literal["string", "hash", "zset", "set", "list", "stream"]
KINDS: Mapping[str, Kind] = {
    "string": "string", "hash": "hash", "sorted set": "zset", "set": "set", "list": "list", "stream": "stream",
}  # fmt: skip
"""The types of the layout page."""


@dataclass(frozen=True)
class Rule:
    """What becomes of the keys of one pattern. ``kind``: their type."""

    pattern: str
    kind: Kind
    treatment: Treatment
    reason: str


_SHORT = "describes running processes, which report it again"
_AGAIN = "can be computed again"
_MOMENT = "means something for minutes only"

RULES: tuple[Rule, ...] = (
    Rule("layout-version", "string", MADE, "written last, when everything is restored"),
    Rule("partitions", "string", MADE, "the manifest has it"),
    Rule("data-id", "string", LEFT, "these are other data now: each process has to notice"),
    Rule("partition-data-ids", "hash", LEFT, "as data-id"),
    Rule("refill", "hash", MADE, "records are incomplete until the bucket was compared"),
    Rule("loss", "string", SAVED, "users may not have seen it"),
    Rule("inbox", "stream", SAVED, "events that no dispatcher has handled"),
    Rule("inbox:low-priority", "stream", SAVED, "objects that are to be tagged again"),
    Rule("inbox:low-priority:once", "hash", LEFT, "an object without its event would never be added again"),
    Rule("retag-marks", "hash", SAVED, "a mark counts only while its event is there"),
    Rule("forgotten:OID", "string", LEFT, _MOMENT),
    Rule("backlog", "list", SAVED, "objects that wait for a place in the low-priority inbox"),
    Rule("backlog:objects", "string", SAVED, "their number"),
    Rule("follow:ID", "hash", SAVED, "images are still sought that captions concern"),
    Rule("follows", "zset", SAVED, "as follow:ID"),
    Rule("segmentation-queue", "zset", SAVED, "objects that wait for segmentation"),
    Rule("segmentation-queue:forced", "set", SAVED, "as segmentation-queue"),
    Rule("segmentation-queue:origins", "hash", SAVED, "as segmentation-queue"),
    Rule("reconcile:BUCKET", "hash", LEFT, "the bucket is compared from its beginning after a restore"),
    Rule("sweep-requests", "hash", LEFT, "as reconcile:BUCKET"),
    Rule("missing:PASS", "zset", LEFT, "as reconcile:BUCKET"),
    Rule("holds", "set", SAVED, "held removals stay held"),
    Rule("hold:BUCKET", "hash", SAVED, "as holds"),
    Rule("interrupted:BUCKET", "zset", SAVED, "as holds"),
    Rule("mount:BUCKET", "string", SAVED, "an empty folder in its place is not believed"),
    Rule("removals:BUCKET", "zset", LEFT, _MOMENT),
    Rule("lock:NAME", "string", LEFT, "no process that holds one survives"),
    Rule("events:rejected", "stream", SAVED, "for whoever looks for the reason"),
    Rule("events:counts", "hash", LEFT, "counters of this Redis: they begin at 0, or rates would jump"),
    Rule("events:recent", "zset", LEFT, "an event that comes again after a restore must count"),
    Rule("events:probes", "stream", LEFT, _MOMENT),
    Rule("sources", "hash", LEFT, _SHORT),
    Rule("catching-up", "hash", SAVED, "a writer goes on with it"),
    Rule("redis-target:KEY", "hash", SAVED, "what of MinIO's hash was sent to the inbox"),
    Rule("ledger", "zset", SAVED, "objects on their way: they are sent again at once"),
    Rule("entry:OID", "hash", SAVED, "as ledger"),
    Rule("ledger:accepted", "zset", MADE, "from entry:OID"),
    Rule("ledger:queue:QUEUE", "zset", LEFT, "objects come into it when they are sent again"),
    Rule("ledger:counts", "hash", LEFT, "counters of this Redis: they begin at 0, as after a loss"),
    Rule("segmenting", "set", SAVED, "with its entry"),
    Rule("segmentation-request:OID", "string", SAVED, "what users requested"),
    Rule("artifacts", "set", SAVED, "so that artifacts are removed with their object"),
    Rule("record:OID", "string", SAVED, "the records"),
    Rule("object-number", "string", SAVED, "numbers are not given twice"),
    Rule("numbered:PAGE", "hash", MADE, "from the records"),
    Rule("records", "zset", SAVED, "its time is saved with each record"),
    Rule("objects", "zset", MADE, "from the records"),
    Rule("damaged", "set", MADE, "records are read when they are restored"),
    Rule("tag:FORM", "zset", MADE, "from the records"),
    Rule("tags", "zset", MADE, "from the records"),
    Rule("tag-spellings:FORM", "zset", MADE, "from the records"),
    Rule("feed", "stream", SAVED, "with the positions of its groups: receivers go on where they were"),
    Rule("feed:positions", "hash", SAVED, "together with the end of the feed"),
    Rule("feed:replay", "hash", SAVED, "the rest of the records is still to be added to the feed"),
    Rule("notify:waiting", "hash", SAVED, "deliveries to webhooks; contains records"),
    Rule("notify:due", "zset", SAVED, "a delivery without a time is due at once"),
    Rule("notify:dead", "stream", SAVED, "dead letters"),
    Rule("notify:counts", "hash", SAVED, "the last answers; counters begin at 0, bytes are counted again"),
    Rule("notify:receivers", "hash", SAVED, "reported again by the notifier; here for the page until then"),
    Rule("notify:paused", "hash", SAVED, "a receiver that was paused stays so"),
    Rule("drain", "hash", LEFT, "nothing is on its way after a restore"),
    Rule("encoder", "string", SAVED, "records and captions are of its space"),
    Rule("encoder-change", "string", LEFT, "what it has prepared is not saved"),
    Rule("encoder-feeder", "string", LEFT, _SHORT),
    Rule("reserved-numbers", "hash", LEFT, "as encoder-change"),
    Rule("heartbeats", "hash", LEFT, _SHORT),
    Rule("processes", "hash", LEFT, _SHORT),
    Rule("models", "hash", LEFT, _SHORT),
    Rule("skipped-captions", "hash", SAVED, "each costs restarts of workers to find"),
    Rule("words", "string", LEFT, _SHORT),
    Rule("outages", "hash", LEFT, _SHORT),
    Rule("statements:OID", "string", SAVED, "what people said"),
    Rule("stated", "set", MADE, "from statements:OID"),
    Rule("statements-revision", "string", SAVED, "it only grows"),
    Rule("statements-time", "string", SAVED, "it only grows"),
    Rule("statements-unwritten", "hash", SAVED, "what was taken back would come back from the journal"),
    Rule("statements-taken-back", "zset", SAVED, "as statements-unwritten"),
    Rule("statements-unfollowed", "zset", SAVED, "images that are to be tagged again"),
    Rule("statements-journal", "string", LEFT, "as statements-restored"),
    Rule("statements-restored", "string", LEFT, "the journal has what was said since the backup, and is replayed"),
    Rule("images:position", "string", SAVED, "the index of images is read after it"),
    Rule("images:standing", "string", LEFT, "the index is compared again"),
    Rule("images:verify", "string", MADE, "has the index compared with the records after a restore"),
    Rule("probe", "string", LEFT, _MOMENT),
    Rule("cache:KEY", "string", LEFT, _AGAIN),
    Rule("idempotency:ID", "string", SAVED, "a client that repeats an upload stores nothing twice"),
    Rule("upload-slot:ID", "string", LEFT, "a form that was given out before is not valid any more"),
    Rule("batches", "set", SAVED, "batches that are still listed"),
    Rule("batches:unfinished", "zset", SAVED, "as batches"),
    Rule("batch:ID", "hash", SAVED, "batches, with their remaining lifetime"),
    Rule("batch:ID:open", "zset", SAVED, "as batch:ID"),
    Rule("batch:ID:counts", "hash", SAVED, "as batch:ID"),
    Rule("batch:ID:failed", "zset", SAVED, "as batch:ID"),
    Rule("batch:ID:gone", "zset", SAVED, "as batch:ID"),
    Rule("batches:finished", "stream", SAVED, "with the positions of its groups"),
    Rule("api-keys", "hash", SAVED, "digests of the secrets: keys go on working"),
    Rule("page-sessions:ID", "zset", LEFT, "users of the page sign in again"),
    Rule("rpc:ID", "list", LEFT, _MOMENT),
    Rule("query-image:ID", "string", LEFT, _MOMENT),
    Rule("search:ID", "list", LEFT, _MOMENT),
    Rule("searches", "list", LEFT, _MOMENT),
)

BY_PATTERN: Mapping[str, Rule] = {rule.pattern: rule for rule in RULES}
_OF_RECEIVERS = ("notify:waiting", "notify:due", "notify:dead", "notify:counts")
_PLACE = re.compile(r"[A-Z]{2,}")


def rule_of(name: bytes) -> Rule | None:
    """The rule of a key, by its name without the prefix; ``None`` for a key that the layout does not know."""
    text = name.decode("utf-8", "surrogateescape")
    found = BY_PATTERN.get(text)
    if found is not None:
        return found
    return next((rule for expression, rule in _families() if expression.fullmatch(text)), None)


def prepared(name: bytes) -> bool:
    """Whether the key is of an encoder that prepares to replace the one in use."""
    return name.startswith(raw(NEXT))


def celerys(name: bytes) -> bool:
    """Whether Celery writes this key under the prefix. Its queues are not saved: the ledger sends objects again."""
    text = name.decode("utf-8", "surrogateescape")
    return (
        text.partition("\x06")[0] in QUEUES
        or text.startswith(("_kombu.", "unacked", "celeryev", "/"))
        or ".pidbox" in text
    )


@cache
def _families() -> list[tuple[re.Pattern[str], Rule]]:
    """The patterns with a variable part, the most specific first."""
    found = [
        (re.compile(_expression(rule.pattern), re.DOTALL), rule) for rule in RULES if _PLACE.search(rule.pattern)
    ]
    found += [(re.compile(re.escape(f"{one}:") + ".+", re.DOTALL), BY_PATTERN[one]) for one in _OF_RECEIVERS]
    return sorted(found, key=lambda pair: -len(pair[0].pattern))


def _expression(pattern: str) -> str:
    begin, _, end = _PLACE.sub("\0", pattern).partition("\0")
    return re.escape(begin) + (f"[^:]+{re.escape(end)}" if end else ".+")
