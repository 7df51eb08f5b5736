"""The limits of the batches that the dispatcher sends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Limits of batches: sizes in objects, times in milliseconds; the deadline and time to give up in seconds."""

    batch_max: int
    batch_wait_ms: int
    in_flight_max: int
    deadline_s: float
    give_up_s: float = 86_400.0
