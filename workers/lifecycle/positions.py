"""Finds positions in a list that is spread over partitions, each of which can only count its own members."""

from __future__ import annotations

from collections.abc import Callable, Sequence

SLACK = 100
"""Members before a position that are read and passed over, since finding a closer bound takes round trips."""
PIVOTS = 15
"""Bounds that are counted in one round trip: each gives four more bits of the one that is sought."""


def bound_of(start: int, low: int, high: int, counts: Callable[[Sequence[int]], Sequence[int]]) -> tuple[int, int]:
    """A bound that at most ``start`` members are above, and the number of those: ``SLACK`` fewer at most.

    Or many members are equal to the bound, or all are above it.

    ``low``: at least as low as the bound below all members. ``high``: no member is above. ``counts``: the number of
    members above each of some bounds.
    """
    passed = 0
    while start - passed > SLACK and high > low:
        span = high - low
        pivots = sorted({low + span * (n + 1) // (PIVOTS + 1) for n in range(PIVOTS)})
        for pivot, count in zip(pivots, counts(pivots), strict=True):
            if count <= start:
                high, passed = pivot, count
                break
            low = pivot + 1
    return high, passed
