"""What a fault is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress

import psutil

from ops.bench.processes import SUPERVISOR
from ops.chaos.world import World


class Fault(ABC):
    """A fault. ``chance``, in [0, 1), chooses its victim. A fault is used once."""

    loses = False
    """Whether Redis loses what it has acknowledged, so that records may be made twice."""

    loses_s = 2.0
    """How many seconds before its beginning what was acknowledged may be lost."""

    def __init__(self, world: World, chance: float) -> None:
        self.world = world
        self.chance = chance
        self.victim = ""

    @abstractmethod
    def begin(self) -> None:
        """Let it happen."""

    def mend(self) -> None:  # noqa: B027 -- most need nothing
        """End it. Nothing by default: what was ended is restarted by its supervisor."""

    def chosen(self) -> list[psutil.Process]:
        """The processes of a service other than the supervisor."""
        services = {name: found for name, found in self.world.services().items() if name != SUPERVISOR and found}
        if not services:
            return []
        self.victim = sorted(services)[int(self.chance * len(services))]
        return services[self.victim]


def send(process: psutil.Process, number: int) -> None:
    """Send a signal, if the process is still there."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
