"""Compares the index of images with the records, one page at a time. What is on its way is no fault.

===============  ==================================================================================================
``missing``      tagged, but not in the index
``outdated``     the index has another version of it
``mislabelled``  the index has other tags for it, or no words
``orphaned``     in the index, but not tagged: it was removed, or failed, or its record is of another vector space
===============  ==================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tasks.search.words import words_of
from vectordb.images import ImageFact, ImageLabels, image_id
from workers.images.labels import labels_of
from workers.lifecycle.record import Record
from workers.lifecycle.record_versions import RecordVersion

Kind = Literal["missing", "outdated", "mislabelled", "orphaned"]
KINDS: Final[tuple[Kind, ...]] = ("missing", "outdated", "mislabelled", "orphaned")
SETTLED_S = 10.0  # after a record is written, until its vector and its labels are in the index

Versions = Callable[[Sequence[str]], Sequence[RecordVersion | None]]


def id_of(version: RecordVersion) -> int:
    """The id of an object in the index."""
    return image_id(*version.name)


@dataclass(frozen=True)
class Compared:
    """A page of records: those that are compared, and the kind of fault of those with one."""

    versions: tuple[RecordVersion, ...]
    faults: tuple[tuple[RecordVersion, Kind], ...]

    def of(self, *kinds: Kind) -> list[RecordVersion]:
        """Those with a fault of these kinds."""
        return [version for version, kind in self.faults if kind in kinds]


class Comparison:
    """``versions``: those of these objects. ``moving``: whether each has changed since a time, or is in progress.

    ``records``: their records. ``clock``: Unix seconds.
    """

    def __init__(
        self,
        versions: Versions,
        moving: Callable[[Sequence[str], float], Sequence[bool]],
        records: Callable[[Sequence[str]], Sequence[Record | None]],
        clock: Callable[[], float],
    ) -> None:
        self._versions = versions
        self._moving = moving
        self._records = records
        self._clock = clock

    def tagged(self, oids: Sequence[str]) -> list[RecordVersion]:
        """Those of these objects that are tagged."""
        return [one for one in self._versions(oids) if one]

    def records(self, before: Sequence[RecordVersion], facts: Iterable[ImageFact]) -> Compared:
        """Compare records with what the index has. ``before``: as they were before the index was read."""
        by_id = {fact.id: fact for fact in facts}
        suspects = [one for one in before if _fault(one, by_id.get(id_of(one)))]
        if not suspects:
            return Compared(tuple(before), ())
        # read again: what changed meanwhile says nothing
        oids = [one.oid for one in suspects]
        moving = self._on_their_way(oids)
        now = {oid: None if oid in moving else one for oid, one in zip(oids, self._versions(oids), strict=True)}
        same = [one for one in before if one.oid not in now or now[one.oid] == one]
        faults = [(one, kind) for one in same if (kind := _fault(one, by_id.get(id_of(one))))]
        wrong = {one.oid for one in self._mislabelled([one for one, kind in faults if kind == "mislabelled"], by_id)}
        return Compared(
            tuple(same), tuple((one, kind) for one, kind in faults if kind != "mislabelled" or one.oid in wrong)
        )

    def orphaned(self, facts: Sequence[ImageFact]) -> list[ImageFact]:
        """Those of a page of the index that are not tagged, and not on their way."""
        oids = [f"{fact.bucket}/{fact.key}" for fact in facts]
        pairs = zip(oids, facts, self._versions(oids), strict=True)
        without = [(oid, fact) for oid, fact, version in pairs if version is None]
        moving = self._on_their_way([oid for oid, _ in without])
        return [fact for oid, fact in without if oid not in moving]

    def labels(self, versions: Sequence[RecordVersion]) -> list[ImageLabels]:
        """What these versions are found by; nothing for one whose record cannot be read, or has changed."""
        found = zip(versions, self._records([one.oid for one in versions]), strict=True)
        return [labels_of(record) for one, record in found if record is not None and record.etag == one.etag]

    def _on_their_way(self, oids: Sequence[str]) -> set[str]:
        moving = self._moving(oids, self._clock() - SETTLED_S) if oids else ()
        return {oid for oid, one in zip(oids, moving, strict=True) if one}

    def _mislabelled(self, versions: Sequence[RecordVersion], facts: Mapping[int, ImageFact]) -> list[RecordVersion]:
        """Those whose record says so: what is stored beside it for the index by tag may be damaged."""
        by_id = {image_id(one.bucket, one.key): one for one in self.labels(versions)}
        wrong = []
        for one in versions:
            labels, fact = by_id.get(id_of(one)), facts[id_of(one)]
            if labels and (set(labels.tags) != set(fact.tags) or (labels.words and not fact.words)):
                wrong.append(one)
        return wrong


def _fault(version: RecordVersion, fact: ImageFact | None) -> Kind | None:
    if fact is None:
        return "missing"
    if fact.etag != version.etag:
        return "outdated"
    if set(fact.tags) != set(version.tags):
        return "mislabelled"
    return "mislabelled" if not fact.words and (version.tags or words_of([], [], version.name[1])) else None
