"""Depths of the real queues, for a wiring whose publisher is not a real one."""

from __future__ import annotations

from workers.broker.depths import DepthReader
from workers.wiring.wiring import Wiring


def real_depths(wiring: Wiring) -> DepthReader:
    """What ``Wiring.depths`` would be with its own publisher."""
    publisher = Wiring.publisher.func(wiring)  # type: ignore[attr-defined]  # a cached property has it
    return DepthReader(publisher, wiring.outage_tracker)
