"""Objects that ended without tags and may be tagged again: ``dead`` ones, which were given up, and ``failed`` ones.

A dead object can be acknowledged: it is counted no more, and its record stays as it is. The mark is the place of the
object in the list of records (``P records``), so every new record of the object clears it: of another version in the
bucket, or of this one when it is tagged again. Nothing else clears it. A comparison with the bucket leaves the object
alone, because it has a record of this version.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workers.lifecycle.record import Record, State
from workers.lifecycle.record_reader import PAGE, Records
from workers.lifecycle.record_times import RecordPlace
from workers.lifecycle.stored_record import ACKNOWLEDGED, PLACES


@dataclass(frozen=True)
class DeadFilter:
    """Which objects: those that meet all conditions. ``codes``: of errors; all without any. ``since``: Unix seconds.

    ``state``: dead or failed. ``acknowledged``: these too, of those that are dead.
    """

    bucket: str
    prefix: str = ""
    codes: tuple[str, ...] = ()
    since: float | None = None
    state: State = "dead"
    acknowledged: bool = False

    def has(self, record: Record) -> bool:
        """Whether a record meets the conditions."""
        return (
            record.state == self.state
            and record.bucket == self.bucket
            and record.key.startswith(self.prefix)
            and (not self.codes or (record.error is not None and record.error.code in self.codes))
            and (self.since is None or record.finished_at >= self.since)
        )


class DeadObjects:
    """Reads them. Raises ``StoreUnavailable``."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def pages(self, which: DeadFilter) -> Iterator[list[Record]]:
        """The records that meet the conditions, in the order of the list of records; a page may be empty."""
        listed = [PLACES[which.state]]
        if which.state == "dead" and which.acknowledged:
            listed.append(PLACES[ACKNOWLEDGED])
        after: RecordPlace | None = None
        while places := self._records.places_in(listed, after, PAGE):
            oids = [oid for oid in self._records.named(places) if oid is not None]
            yield [record for record in self._records.get(oids) if record is not None and which.has(record)]
            after = places[-1]

    def all(self, which: DeadFilter) -> Iterator[Record]:
        """The same, one by one."""
        for page in self.pages(which):
            yield from page

    def acknowledged(self, records: Sequence[Record]) -> list[bool]:
        """Whether each of these was acknowledged."""
        places = self._records.ranges_of([record.id for record in records])
        return [place == PLACES[ACKNOWLEDGED] for place in places]

    def of(self, bucket: str, keys: Sequence[str], state: State) -> tuple[list[Record], list[str]]:
        """The records of these keys that are in this state, and the keys that have none."""
        found = self._records.get([f"{bucket}/{key}" for key in keys])
        there = [record for record in found if record is not None and record.state == state]
        known = {record.key for record in there}
        return there, [key for key in keys if key not in known]
