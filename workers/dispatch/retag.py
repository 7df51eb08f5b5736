"""Tagging again: sends objects that have records through the stages with low priority."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tasks.labels.index_form import index_form
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import EventInbox
from workers.lifecycle.record import State
from workers.lifecycle.record_reader import PAGE, Records, in_pages

AHEAD = 1000  # objects in the low-priority inbox at once; the others wait in the calling process


@dataclass(frozen=True)
class Selection:
    """Selects records that meet all given conditions.

    ``tag``: in any spelling; also as the label of a segment, or implied by another tag. ``captions_version``: tagged
    with this version, ``NAME`` or ``NAME@VERSION``; ``other_than``: not with this one.
    """

    bucket: str
    prefix: str = ""
    tag: str | None = None
    state: State | None = None
    captions_version: str | None = None
    other_than: str | None = None


def selected(records: Records, which: Selection) -> Iterator[list[str]]:
    """Yield the keys of the selected records in pages; some may be empty."""
    form = None if which.tag is None else index_form(which.tag)
    for keys in in_pages(_keys(records, which), PAGE):
        oids = [f"{which.bucket}/{key}" for key in keys]
        found = records.labelled(oids)
        yield [
            key
            for key, (state, version, labels) in zip(keys, found, strict=True)
            if which.state in (None, state)
            and (form is None or form in labels)
            and (which.captions_version is None or which.captions_version in (version, version.partition("@")[0]))
            and version != which.other_than
        ]


def _keys(records: Records, which: Selection) -> Iterator[str]:
    """Yield the candidate keys, from the narrowest index."""
    if which.tag is None:
        return records.keys(which.bucket, which.prefix)
    begin = f"{which.bucket}/{which.prefix}"
    oids = (oid for oid in records.tag_index.tagged(which.tag) if oid.startswith(begin))
    return (oid.removeprefix(f"{which.bucket}/") for oid in oids)


def retag(
    pages: Iterator[Sequence[str]], bucket: str, low_priority_inbox: EventInbox, wait: Callable[[int], None]
) -> int:
    """Queue objects with low priority and wait until all have been dispatched; returns their number.

    ``wait`` is called repeatedly with the number of dispatched objects. If interrupted, objects that were already
    queued are still processed.
    """
    put = 0
    for keys in pages:
        while (waiting := low_priority_inbox.length()) >= AHEAD:
            wait(put - waiting)
        # without an ETag, the dispatcher checks whether the object exists and which version it is
        low_priority_inbox.append([ObjectEvent("created", bucket, key, force=True) for key in keys], mark=True)
        put += len(keys)
    while waiting := low_priority_inbox.length():
        wait(put - waiting)
    return put
