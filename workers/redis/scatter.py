"""Calls the adapters of all partitions together: the calls are sent to all before the first answer is read."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from vectordb.errors import WildtagError
from workers.redis.partition_faults import of_partition
from workers.redis.partitions import Partitions

A = TypeVar("A")
T = TypeVar("T")


class Scatter(Generic[A]):
    """One adapter for each partition.

    A fault has the name of its partition (``workers.redis.partition_faults``). It is raised when all calls have
    ended, so the others have done their part.
    """

    def __init__(self, partitions: Partitions, adapters: Sequence[A]) -> None:
        self.partitions = partitions
        self.adapters = tuple(adapters)

    def at(self, oid: str, call: Callable[[A], T]) -> T:
        """Call the adapter of an object's partition."""
        return self._call(self.partitions.of(oid), call)

    def each(self, call: Callable[[A], T]) -> list[T]:
        """Call all adapters; returns their answers in order."""
        return self.some(range(self.partitions.count), lambda adapter, _: call(adapter))

    def gather(self, oids: Sequence[str], call: Callable[[A, list[int]], Sequence[T]]) -> list[T]:
        """Divide objects by partition, and return the answer for each, in order.

        ``call`` gets the positions of the objects of its partition, and returns one answer for each.
        """
        divided = self.partitions.divide(oids)
        answers = self.some(list(divided), lambda adapter, partition: call(adapter, divided[partition]))
        found: dict[int, T] = {}
        for places, answer in zip(divided.values(), answers, strict=True):
            found.update(zip(places, answer, strict=True))
        return [found[place] for place in range(len(oids))]

    def divided(self, oids: Sequence[str], call: Callable[[A, list[int]], object]) -> None:
        """Divide objects by partition, for a call that answers nothing; see ``gather``."""
        divided = self.partitions.divide(oids)
        self.some(list(divided), lambda adapter, partition: call(adapter, divided[partition]))

    def some(self, partitions: Sequence[int], call: Callable[[A, int], T]) -> list[T]:
        """Call the adapters of these partitions; returns their answers in the same order."""
        answers, faults = self.tried(partitions, call)
        if faults:
            raise faults[0]
        return list(answers.values())

    def tried(
        self, partitions: Sequence[int], call: Callable[[A, int], T]
    ) -> tuple[dict[int, T], list[WildtagError]]:
        """The answers of those partitions that answer, and the faults of the others."""

        def one(partition: int) -> T | WildtagError:
            try:
                return self._call(partition, lambda adapter: call(adapter, partition))
            except WildtagError as exc:
                return exc

        # the calling thread takes the last one itself
        others = [self.partitions.threads.submit(one, partition) for partition in partitions[:-1]]
        last = [one(partition) for partition in partitions[-1:]]
        results = [*(other.result() for other in others), *last]
        answers: dict[int, T] = {}
        faults: list[WildtagError] = []
        for partition, result in zip(partitions, results, strict=True):
            if isinstance(result, WildtagError):
                faults.append(result)
            else:
                answers[partition] = result
        return answers, faults

    def _call(self, partition: int, call: Callable[[A], T]) -> T:
        with of_partition(partition):
            return call(self.adapters[partition])

    def in_order(self, page: Callable[[A, bytes | None], Sequence[bytes]], size: int) -> Iterator[bytes]:
        """Merge the sorted members of all partitions.

        ``page``: at most ``size`` members of a partition, after a given one or from the first one on.
        """
        waiting: list[list[bytes]] = [[] for _ in self.adapters]
        last: list[bytes | None] = [None] * len(waiting)
        more = set(range(len(waiting)))
        while more:
            short = [partition for partition in sorted(more) if len(waiting[partition]) <= size // 2]
            pages = self.some(short, lambda adapter, partition: page(adapter, last[partition]))
            for partition, found in zip(short, pages, strict=True):
                waiting[partition] += found
                if len(found) < size:
                    more.discard(partition)
                last[partition] = found[-1] if found else last[partition]
            # what a partition has not told yet comes after its last member
            known = min((waiting[partition][-1] for partition in more), default=None)
            ends = [len(one) if known is None else bisect_right(one, known) for one in waiting]
            yield from heapq.merge(*(one[:end] for one, end in zip(waiting, ends, strict=True)))
            waiting = [one[end:] for one, end in zip(waiting, ends, strict=True)]


def sums(counts: Sequence[Sequence[int]]) -> list[int]:
    """Add up what each partition has counted of the same things."""
    return [sum(of_all) for of_all in zip(*counts, strict=True)]
