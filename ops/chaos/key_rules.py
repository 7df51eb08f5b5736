"""To whom each key of Redis belongs, when nothing is on its way: a rule for each row of ``workers.redis.keys``.

A rule gets what is known of the system and one key, and names what belongs to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workers.lifecycle.object_numbers import PAGE, member_of
from workers.redis.connection import raw, text
from workers.settings.queue_names import QUEUES

Values = Mapping[bytes, Any] | Collection[bytes]


@dataclass(frozen=True)
class Known:
    """What there is. ``objects``: ids of those in the bucket. ``records``: of those with a record.

    ``numbers``: the members of the lists → ids. ``tags``: their forms. ``stated``: ids of objects of which something
    was said; that holds when they are removed, too. ``receivers``: of webhooks. ``keys``: the names of all keys,
    without the prefix.
    """

    bucket: str
    objects: Collection[str]
    records: Collection[str]
    numbers: Mapping[bytes, str]
    tags: Collection[str]
    stated: Collection[str]
    batches: Collection[str]
    api_keys: Collection[str]
    receivers: Collection[str]
    feed_length: int
    keys: Collection[bytes]


@dataclass(frozen=True)
class Key:
    """A key. ``name``: without the prefix. ``part``: what stands for the capitals of its pattern.

    ``ttl``: seconds, below 0 without a lifetime. ``values``: its members, elements or fields; of a string nothing.
    ``length``: their number.
    """

    name: bytes
    part: str
    ttl: int
    length: int
    values: Values


Rule = Callable[[Known, Key], Iterator[str]]


def one(_known: Known, _key: Key) -> Iterator[str]:
    """There is one for each installation."""
    yield from ()


def expires(_known: Known, key: Key) -> Iterator[str]:
    """It has a lifetime."""
    if key.ttl < 0:
        yield "has no lifetime"


def empty(_known: Known, key: Key) -> Iterator[str]:
    """It is of something that is on its way, and nothing is."""
    if key.length:
        yield f"has {key.length} entries, such as {next(iter(key.values), b'?')!r}, with nothing on its way"


def absent(_known: Known, _key: Key) -> Iterator[str]:
    """It is of something that goes on, and nothing does."""
    yield "is of something that has ended"


def at_most(count: Callable[[Known], int]) -> Rule:
    """It is trimmed to so many entries. Redis trims streams by whole nodes, of 100 entries."""

    def rule(known: Known, key: Key) -> Iterator[str]:
        if key.length > count(known) + 200:
            yield f"has {key.length} entries, which is more than {count(known)}"

    return rule


def owned(owners: Callable[[Known], Collection[str]], what: str) -> Rule:
    """It belongs to what its name says."""

    def rule(known: Known, key: Key) -> Iterator[str]:
        if key.part not in owners(known):
            yield f"is of {what} that there is not"

    return rule


def listing(owners: Callable[[Known], Collection[str]], what: str) -> Rule:
    """Each of its members or fields belongs to something."""

    def rule(known: Known, key: Key) -> Iterator[str]:
        there = owners(known)
        if lost := [value for value in key.values if text(value) not in there]:
            yield f"has {len(lost)} of {what} that there is not, such as {lost[0]!r}"

    return rule


def both(*rules: Rule) -> Rule:
    """All of these."""

    def rule(known: Known, key: Key) -> Iterator[str]:
        for single in rules:
            yield from single(known, key)

    return rule


def _numbers(known: Known, key: Key) -> Iterator[str]:
    if lost := [value for value in key.values if value not in known.numbers]:
        yield f"has {len(lost)} numbers of no object with a record, such as {int.from_bytes(lost[0], 'big')}"


def _page(known: Known, key: Key) -> Iterator[str]:
    fields = key.values if isinstance(key.values, Mapping) else {}
    for field, oid in fields.items():
        if (
            known.numbers.get(member_of(int(key.part) * PAGE + int(field))) != text(oid)
            or text(oid) not in known.records
        ):
            yield f"has the number {text(field)} for {text(oid)!r}, which has no record"


def _has_key(family: str) -> Rule:
    """For each member there is a key of this family."""

    def rule(known: Known, key: Key) -> Iterator[str]:
        if lost := [value for value in key.values if raw(family) + value not in known.keys]:
            yield f"has {len(lost)} without a key {family}…, such as {lost[0]!r}"

    return rule


def _receiver(known: Known, key: Key) -> Iterator[str]:
    if (key.part or "default") not in known.receivers:
        yield "is of a receiver that there is not"


IN_BUCKET = owned(lambda known: known.objects, "an object")
WITH_RECORD = listing(lambda known: known.records, "a record")
OF_BUCKET = owned(lambda known: {known.bucket}, "a bucket")
OF_BATCH = both(expires, owned(lambda known: known.batches, "a batch"))

RULES: Mapping[str, Rule] = {
    **dict.fromkeys(
        (
            "layout-version",
            "partitions",
            "data-id",
            "partition-data-ids",
            "sweep-requests",
            "object-number",
            "encoder",
            "words",
            "images:position",
            "images:standing",
            "images:verify",
            "statements-revision",
            "statements-restored",
            "statements-journal",
            "statements-time",
            "backlog:objects",
            "catching-up",
            "sources",
            "heartbeats",
            "skipped-captions",
            "events:counts",
            "ledger:counts",
            "api-keys",
            "feed:positions",
        ),
        one,
    ),
    **dict.fromkeys(
        (
            "loss",
            "forgotten:OID",
            "follow:ID",
            "missing:PASS",
            "lock:NAME",
            "removals:BUCKET",
            "probe",
            "cache:KEY",
            "idempotency:ID",
            "upload-slot:ID",
            "rpc:ID",
            "query-image:ID",
            "search:ID",
            "encoder-feeder",
            "processes",
            "models",
            "outages",
            "batch:ID",
        ),
        expires,
    ),
    **dict.fromkeys(
        (
            "inbox",
            "inbox:low-priority",
            "inbox:low-priority:once",
            "retag-marks",
            "backlog",
            "segmentation-queue",
            "segmentation-queue:forced",
            "segmentation-queue:origins",
            "segmenting",
            "ledger",
            "ledger:accepted",
            "notify:waiting",
            "notify:due",
            "statements-unwritten",
            "damaged",
            "batches",
        ),
        empty,
    ),
    **dict.fromkeys(
        (
            "entry:OID",
            "refill",
            "drain",
            "encoder-change",
            "feed:replay",
            "reserved-numbers",
            "redis-target:KEY",
        ),
        absent,
    ),
    "ledger:queue:QUEUE": both(empty, owned(lambda _: QUEUES, "a queue")),
    "events:rejected": at_most(lambda _: 1_100),
    "events:recent": at_most(lambda _: 30_000),
    "events:probes": at_most(lambda _: 200),
    "feed": at_most(lambda known: known.feed_length),
    "notify:dead": both(_receiver, at_most(lambda _: 10_000)),
    "notify:counts": _receiver,
    "notify:receivers": listing(lambda known: known.receivers, "a receiver"),
    "notify:paused": listing(lambda known: known.receivers, "a receiver"),
    "batches:finished": at_most(lambda _: 10_000),
    "batches:unfinished": listing(lambda known: known.batches, "a batch"),
    **dict.fromkeys(("batch:ID:open", "batch:ID:counts", "batch:ID:failed", "batch:ID:gone"), OF_BATCH),
    "searches": at_most(lambda _: 500),
    "follows": _has_key("follow:"),
    "reconcile:BUCKET": OF_BUCKET,
    "hold:BUCKET": OF_BUCKET,
    "mount:BUCKET": OF_BUCKET,
    "interrupted:BUCKET": both(OF_BUCKET, WITH_RECORD),
    "holds": listing(lambda known: {known.bucket}, "a bucket"),
    "segmentation-request:OID": both(expires, IN_BUCKET),
    # a mark whose event was lost counts no more, and the next one of the object replaces it
    **dict.fromkeys(("inbox:low-priority:once", "retag-marks"), listing(lambda known: known.objects, "an object")),
    "artifacts": listing(lambda known: known.objects, "an object"),
    "record:OID": IN_BUCKET,
    "objects": WITH_RECORD,
    "records": _numbers,
    "numbered:PAGE": _page,
    "tag:FORM": both(owned(lambda known: known.tags, "a tag"), _numbers),
    "tags": _has_key("tag:"),
    "tag-spellings:FORM": owned(lambda known: known.tags, "a tag"),
    "statements:OID": owned(lambda known: known.stated, "a statement"),
    "stated": _has_key("statements:"),
    "statements-unfollowed": listing(lambda known: {*known.records, *known.stated}, "an object"),
    "statements-taken-back": at_most(lambda _: 10_000),
    "page-sessions:ID": both(expires, owned(lambda known: {"admin", *known.api_keys}, "an API key")),
}
CELERY: Mapping[str, Rule] = {
    **dict.fromkeys(QUEUES, empty),
    # messages of a killed worker come again after the visibility timeout
    **dict.fromkeys(("unacked", "unacked_index"), at_most(lambda _: 1_000)),
    "unacked_mutex": expires,
}
"""The keys of Celery, which are not part of the layout; others that begin with ``_kombu`` list its queues."""
