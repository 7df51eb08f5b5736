"""The sweep: compares a bucket with the records and adds events for changes that were missed.

Both are sorted by key, so one pass over each is sufficient. Both are read in pages, so memory use does not grow with
the bucket. A pass may be repeated and may run beside live events: objects in progress are skipped, and objects that
seem to be removed are looked up before a removal is reported. Removals are reported at the end of a pass, when their
number is known: too many are held (``workers.dispatch.removals``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from workers.dispatch.missing_objects import Missing
from workers.dispatch.same_versions import Adopt, nothing
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import EventInbox
from workers.lifecycle.record_reader import PAGE, Records, in_pages
from workers.stores.store import ObjectInfo, ObjectStore


@dataclass(frozen=True)
class Sweep:
    """Progress of a pass: objects in the bucket, events for new or changed objects, and for removed ones.

    ``after``: the last key that was compared.
    """

    seen: int = 0
    sent: int = 0
    gone: int = 0
    after: str = ""

    def and_then(self, more: Sweep) -> Sweep:
        """The sum of both."""
        return Sweep(self.seen + more.seen, self.sent + more.sent, self.gone + more.gone, more.after)


def reconcile(
    store: ObjectStore,
    bucket: str,
    records: Records,
    inbox: EventInbox,
    missing: Missing,
    *,
    prefix: str = "",
    after: str = "",
    wanted: Callable[[ObjectInfo], bool] = lambda _: True,
    adopt: Adopt = nothing,
) -> Iterator[Sweep]:
    """Compare a bucket with its records and yield the progress after each page. It may start ``after`` a key.

    Adds an event for every object that is ``wanted``, has no record of this ETag and is not in progress. Adds every
    key that has a record and no object to ``missing``. ``adopt``: recognises a new ETag of the same content.
    """
    seen = sent = 0
    for page in in_pages(store.list(bucket, prefix, after), PAGE):
        last = page[-1].ref.key
        changed = _changed(page, records, wanted, adopt)
        inbox.append(changed)
        seen, sent = seen + len(page), sent + len(changed)
        there = {info.ref.key for info in page}
        for number, keys in enumerate(in_pages(records.keys(bucket, prefix, after, last), PAGE)):
            if number:  # many records and few objects, as after a mass deletion: process these in pages too
                yield Sweep(seen, sent, after=after)
            missing.add([key for key in keys if key not in there])
            after = keys[-1]
        after = last
        yield Sweep(seen, sent, after=after)
    for keys in in_pages(records.keys(bucket, prefix, after), PAGE):
        missing.add(keys)
        after = keys[-1]
        yield Sweep(seen, sent, after=after)


def _changed(
    page: list[ObjectInfo], records: Records, wanted: Callable[[ObjectInfo], bool], adopt: Adopt
) -> list[ObjectEvent]:
    known = records.known([info.ref.id for info in page])
    changed = [info for info, etags in zip(page, known, strict=True) if info.ref.etag not in etags and wanted(info)]
    same = adopt([info.ref for info in changed]) if changed else set()
    return [ObjectEvent.seen(info) for info in changed if info.ref.id not in same]
