"""How a record is found by its labels: by its tags, the labels of its segments, and the broader labels they imply.

What is stored is a function of the record alone, so that the index can be made anew from the records
(``workers.lifecycle.migrations``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from tasks.labels.implied import implied
from tasks.labels.index_form import index_form
from tasks.segmentation.results import UNKNOWN, Segment
from workers.lifecycle.record import Record

TAG, SEGMENT, IMPLIED = 4, 2, 0
"""Added to the strength of a label: tags come before labels of segments, and those before implied ones."""
MILLION = 1_000_000  # ranks are stored as integers: short lists of integers take half of the memory

Row = str | tuple[str, ...]
"""A form; or (form, label) if the record spells it otherwise; or (form, '', by) if ``by`` implies it."""


@dataclass(frozen=True)
class TagEntry:
    """A form under which a record is found. ``label``: as the record spells it, empty if implied.

    ``rank``: see ``P tag:FORM`` in ``workers.redis.keys``. ``by``: the form of the label that implies it, or empty.
    """

    form: str
    label: str
    rank: int
    by: str = ""

    @property
    def row(self) -> Row:
        """As it is stored with the record."""
        if self.by:
            return (self.form, "", self.by)
        return self.form if self.label == self.form else (self.form, self.label)


def tag_entries(record: Record) -> list[TagEntry]:
    """The entries of a record, each form once: in its best rank."""
    found: dict[str, TagEntry] = {}
    for entry in _all(record):
        if entry.form not in found or entry.rank > found[entry.form].rank:
            found[entry.form] = entry
    return list(found.values())


def parts_of(row: Row) -> tuple[str, str, str]:
    """Form, label (empty if it is the form, or implied), and the form that implies it, or empty."""
    form, label, by = (row, "", "") if isinstance(row, str) else (*row, "", "", "")[:3]
    return form, label, by


def added(entries: Sequence[TagEntry]) -> bytes:
    """What ``tag_index.lua`` adds: form, label, by and rank of each entry (msgpack)."""
    return msgspec.msgpack.encode([(*parts_of(one.row), one.rank) for one in entries])


def removed(rows: Iterable[Row]) -> bytes:
    """What ``tag_index.lua`` removes: the same without ranks."""
    return msgspec.msgpack.encode(list(map(parts_of, rows)))


def forms(rows: Iterable[Row]) -> dict[str, str]:
    """Form → the form that implies it, or empty."""
    return {form: by for form, _, by in map(parts_of, rows)}


def segments(record: Record) -> Sequence[Segment]:
    """The segments that have a label."""
    found = record.segmentation.segments if record.segmentation else ()
    return [one for one in found if one.label != UNKNOWN]


def rank_of(kind: int, strength: float) -> int:
    """The rank of a label of this kind and strength (0 to 1), in millionths."""
    return round((kind + min(1.0, max(0.0, strength))) * MILLION)


def _all(record: Record) -> Iterator[TagEntry]:
    rejected = {index_form(label) for label in record.rejected or ()}
    return (entry for entry in _said(record) if entry.form not in rejected)


def _said(record: Record) -> Iterator[TagEntry]:
    captions = [evidence.caption for evidence in record.evidence]
    for tag in record.tags:
        yield from _entries(tag.label, TAG, tag.strength, [captions[at] for at in tag.evidence if at < len(captions)])
    for segment in segments(record):
        yield from _entries(segment.label, SEGMENT, segment.score, [one.caption for one in segment.evidence])


def _entries(label: str, kind: int, strength: float, captions: Sequence[str]) -> Iterator[TagEntry]:
    form = index_form(label)
    yield TagEntry(form, label, rank_of(kind, strength))
    for broader in implied(label, captions):
        yield TagEntry(broader, "", rank_of(IMPLIED, strength), form)
