"""The sweep: compares a bucket with the records and tells the inbox what events have missed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from workers.events.event import ObjectEvent
from workers.inbox import Inbox
from workers.records import Records
from workers.stores.store import ObjectError, ObjectInfo, ObjectStore

PAGE = 500
T = TypeVar("T")


@dataclass(frozen=True)
class Sweep:
    """What a sweep saw: objects in the bucket, events it had to send for missing, changed and gone ones."""

    seen: int
    sent: int
    gone: int


def reconcile(store: ObjectStore, bucket: str, records: Records, inbox: Inbox, revision: str) -> Sweep:
    """Send an event for every object whose record is missing or of another version, and for every record whose
    object is gone. Memory does not grow with the bucket. Safe beside live events: all of it may be repeated.
    """
    seen = sent = gone = 0
    for page in _pages(store.list(bucket)):
        seen += len(page)
        sent += _send(inbox, _missing(page, records, revision))
    for oids in _pages(oid for oid in records.ids() if oid.startswith(f"{bucket}/")):
        keys = [oid.removeprefix(f"{bucket}/") for oid in oids]
        gone += _send(
            inbox, (ObjectEvent("removed", bucket, key, verified=True) for key in keys if _gone(store, bucket, key))
        )
    return Sweep(seen, sent, gone)


def _pages(items: Iterator[T]) -> Iterator[list[T]]:
    while page := list(islice(items, PAGE)):
        yield page


def _gone(store: ObjectStore, bucket: str, key: str) -> bool:
    try:
        return store.stat(bucket, key) is None
    except ObjectError:  # what one may not look at is not gone
        return False


def _missing(page: list[ObjectInfo], records: Records, revision: str) -> Iterator[ObjectEvent]:
    known = records.versions([info.ref.id for info in page])
    for info, version in zip(page, known, strict=True):
        if version != (info.ref.etag, revision):
            yield ObjectEvent.seen(info)


def _send(inbox: Inbox, events: Iterator[ObjectEvent]) -> int:
    page = list(events)
    if page:
        inbox.append(page)
    return len(page)
