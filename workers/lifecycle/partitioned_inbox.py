"""The inbox of several partitions: each object's events are in the inbox of its partition.

The id of an entry has the partition at its end, ``1764460800000-0@2``, so that it is unique.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from itertools import chain

from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import EventInbox, Inbox, Read
from workers.redis.connection import StoreUnavailable
from workers.redis.partition_faults import PartitionFaults, of_partition
from workers.redis.partitions import Partitions
from workers.redis.scatter import Scatter

LOOK_S = 0.02  # between two looks, if nothing reports new entries
LOOK_AT_ALL_S = 0.5  # the same where something does, in case a report was missed


class InboxPart(Inbox):
    """The inbox of one partition. Raises ``StoreUnavailable`` with its name."""

    def __init__(self, inner: Inbox, partition: int, faults: PartitionFaults) -> None:
        self._inner = inner
        self.partition = partition
        self._faults = faults

    @property
    def away(self) -> bool:
        """See ``Inbox``."""
        return self._faults.away(self.partition)

    def tolerated(self) -> AbstractContextManager[None]:
        """See ``Inbox``."""
        return self._faults.tolerated(self.partition)

    def append(self, events: Sequence[ObjectEvent], *, mark: bool = False) -> None:
        """See ``Inbox``."""
        with of_partition(self.partition):
            self._inner.append(events, mark=mark)

    def length(self) -> int:
        """See ``Inbox``."""
        with of_partition(self.partition):
            return self._inner.length()

    def prepare(self) -> None:
        """See ``Inbox``."""
        with of_partition(self.partition):
            self._inner.prepare()

    def read(self, consumer: str, count: int, block_ms: int | None) -> Read:
        """See ``Inbox``."""
        with of_partition(self.partition):
            return self._named(self._inner.read(consumer, count, block_ms))

    def again(self, consumer: str, count: int, after: str) -> Read:
        """See ``Inbox``."""
        with of_partition(self.partition):
            return self._named(self._inner.again(consumer, count, _plain(after)))

    def recover(self, consumer: str, idle_ms: int, count: int) -> Read:
        """See ``Inbox``."""
        with of_partition(self.partition):
            return self._named(self._inner.recover(consumer, idle_ms, count))

    def done(self, ids: Sequence[str]) -> None:
        """See ``Inbox``."""
        with of_partition(self.partition):
            self._inner.done(list(map(_plain, ids)))

    def finishing(self, ids: Sequence[str]) -> list[tuple[str, ...]]:  # noqa: ARG002 -- as in ``Inbox``
        """Nothing: a transaction of other keys cannot hold the commands."""
        return []

    def finish(self, ids: Sequence[str]) -> None:
        """See ``Inbox``."""
        self.done(ids)

    def unmark(self, events: Sequence[tuple[str, ObjectEvent]]) -> None:
        """See ``Inbox``."""
        with of_partition(self.partition):
            self._inner.unmark([(_plain(entry), event) for entry, event in events])

    def _named(self, read: Read) -> Read:
        return [(f"{entry}@{self.partition}", event) for entry, event in read]


class InboxSignal:
    """Which partitions may have new events, as their watches report. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._partitions: set[int] = set()

    def note(self, partition: int) -> None:
        """This partition has new events."""
        with self._changed:
            self._partitions.add(partition)
            self._changed.notify_all()

    def take(self) -> set[int]:
        """The partitions that were noted since the last call."""
        with self._changed:
            taken, self._partitions = self._partitions, set()
            return taken

    def wait(self, seconds: float) -> bool:
        """Wait up to ``seconds`` until a partition was noted; returns whether one was."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._partitions), seconds)


class PartitionedInbox(EventInbox):
    """The inboxes of all partitions, as one. ``held``: stores events of a partition that is away, see ``HeldEvents``.

    Readers take from each in turn, and from none that is away. ``signal``: set it if something reports which to
    read; without it all are looked at, often.
    """

    def __init__(
        self,
        partitions: Partitions,
        inboxes: Sequence[Inbox],
        held: Inbox,
        faults: PartitionFaults | None = None,
    ) -> None:
        self._partitions = partitions
        self._faults = faults or PartitionFaults(partitions.count)
        self._parts = tuple(InboxPart(inner, n, self._faults) for n, inner in enumerate(inboxes))
        self._scatter = Scatter(partitions, self._parts)
        self._held = held
        self.signal: InboxSignal | None = None
        self._first = 0
        self._look_at_all = 0.0

    @property
    def parts(self) -> tuple[Inbox, ...]:
        """See ``EventInbox``."""
        return self._parts

    def parts_of(self, ids: Collection[str]) -> set[Inbox]:
        """See ``EventInbox``."""
        return {self._parts[_partition(entry)] for entry in ids}

    def append(self, events: Sequence[ObjectEvent], *, mark: bool = False) -> None:
        """Store events, those of an object in order; they are in Redis when this returns.

        No partition that is away is waited for.
        """
        divided = self._partitions.divide(event.id for event in events)
        there = [partition for partition in divided if not self._faults.away(partition)]
        stored, faults = self._scatter.tried(
            there, lambda part, partition: part.append([events[place] for place in divided[partition]], mark=mark)
        )
        for fault in faults:
            if not isinstance(fault, StoreUnavailable):
                raise fault
            self._faults.begun(fault)
        left = [place for partition, places in divided.items() if partition not in stored for place in places]
        if left:
            self._held.append([events[place] for place in sorted(left)])

    def pass_on(self, partition: int, events: Sequence[ObjectEvent]) -> None:
        """Store events of one partition there, and nowhere else."""
        self._parts[partition].append(events)

    def length(self) -> int:
        """Number of events that are not processed yet, also of those that wait for a partition."""
        return self._held.length() + sum(self._scatter.each(lambda part: part.length()))

    def prepare(self) -> None:
        """Create the streams and their groups. Those of a partition that is away are created when it is read."""
        for partition in self._faults.there():
            with self._faults.tolerated(partition):
                self._parts[partition].prepare()

    def read(self, consumer: str, count: int, block_ms: int | None) -> Read:
        """See ``EventInbox``. All partitions get the same share of ``count``; those with more events get the rest."""
        until = time.monotonic() + (block_ms or 0) / 1000
        while True:
            events = self._read(consumer, count, self._candidates())
            left = until - time.monotonic()
            if events or block_ms is None or left <= 0:
                return events
            if self.signal is None:
                time.sleep(min(left, LOOK_S))
            elif not self.signal.wait(left):
                self._look_at_all = 0.0

    def done(self, ids: Sequence[str]) -> None:
        """See ``EventInbox``. All that can be removed are, before a fault is raised."""
        divided: dict[int, list[str]] = {}
        for entry in ids:
            divided.setdefault(_partition(entry), []).append(entry)
        self._scatter.some(list(divided), lambda part, partition: part.done(divided[partition]))

    def finishing(self, ids: Sequence[str]) -> list[tuple[str, ...]]:  # noqa: ARG002 -- as in ``EventInbox``
        """Nothing: a transaction of other keys cannot hold the commands."""
        return []

    def finish(self, ids: Sequence[str]) -> None:
        """See ``EventInbox``."""
        self.done(ids)

    def unmark(self, events: Sequence[tuple[str, ObjectEvent]]) -> None:
        """See ``EventInbox``."""
        divided: dict[int, Read] = {}
        for entry, event in events:
            if event.force:
                divided.setdefault(_partition(entry), []).append((entry, event))
        self._scatter.some(list(divided), lambda part, partition: part.unmark(divided[partition]))

    def _candidates(self) -> Collection[int]:
        noted = self.signal.take() if self.signal is not None else set()
        if self.signal is None or time.monotonic() >= self._look_at_all:
            self._look_at_all = time.monotonic() + LOOK_AT_ALL_S
            return range(self._partitions.count)
        return noted

    def _read(self, consumer: str, count: int, candidates: Collection[int]) -> Read:
        found: Read = []
        turn = [partition for partition in self._faults.there(self._first) if partition in candidates]
        self._first += 1
        later: list[int] = []
        while turn and len(found) < count:
            left = count - len(found)
            turn, later = turn[:left], turn[left:] + later
            share = left // len(turn)
            pages, faults = self._scatter.tried(turn, lambda part, _: part.read(consumer, share, None))  # noqa: B023 -- called at once
            found += chain.from_iterable(pages.values())
            for fault in faults:
                if not self._faults.begun(fault):
                    raise fault
            turn = [partition for partition, page in pages.items() if len(page) == share]
        if self.signal is not None:
            for partition in (*turn, *later):
                self.signal.note(partition)
        return found


def _plain(entry: str) -> str:
    """The id of an entry as Redis has it."""
    return entry.partition("@")[0]


def _partition(entry: str) -> int:
    return int(entry.partition("@")[2])
