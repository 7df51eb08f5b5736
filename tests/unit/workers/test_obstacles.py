"""The register of what a process cannot reach: what it says, how often it asks, and whom it wakes."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from workers.connection import StoreUnavailable
from workers.obstacle_board import Obstacle
from workers.stores.store import StoreAway

PATIENCE_S = 10.0


@dataclass
class Service:
    """Answers its probe unless it is away; a probe may hang."""

    away: bool = True
    hangs: threading.Event | None = None
    asked: list[float] = field(default_factory=list)

    def probe(self) -> None:
        self.asked.append(time.monotonic())
        if self.hangs is not None:
            hangs, self.hangs = self.hangs, None
            hangs.wait(PATIENCE_S)
        if self.away:
            raise StoreAway("no answer")


@dataclass
class Notes:
    """Keeps what is written; refuses it while Redis is away."""

    away: bool = False
    written: list[list[Obstacle]] = field(default_factory=list)

    def write(self, standing: list[Obstacle]) -> None:
        if self.away:
            raise StoreUnavailable("no Redis")
        self.written.append(standing)


