"""Whether a process is at work: by its beats, and where it has nothing to do, by asking it.

The supervisor keeps a ``LivenessCheck`` for each of its services; ``wildtag alive`` makes one in a process of its
own, for the health checks of Compose and Kubernetes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum

from vectordb.errors import Transient
from workers.broker.publisher import Sender
from workers.redis.heartbeats import Health
from workers.settings.settings import QUEUES

FRESH = 60.0  # seconds; a process that beat within them is at work
PATIENCE = 60.0  # seconds that a silent one has to answer
ASK_AGAIN = 30.0
LOOK_EVERY = 0.25

# what may be asked after; those behind a queue answer a probe, the others beat by themselves
NAMES = (*QUEUES, "dispatcher", "watcher", "reconcile", "writer", "notifier", "listener", "redis-target")


class State(Enum):
    """What is known of a process at a moment."""

    AT_WORK = "at work"
    ASKED = "asked"  # silent, and still has time to answer
    SILENT = "silent"


class LivenessCheck:
    """Whether a process is at work, by its beats. Workers, which beat only when they do something, are asked.

    A beat is a stage's, not a process's: of several workers on one queue, it says that one of them consumes.
    """

    def __init__(
        self, health: Health, publisher: Sender, name: str, fresh: float = FRESH, patience: float = PATIENCE
    ) -> None:
        """``fresh``: seconds within which a beat counts. ``patience``: seconds to answer a probe."""
        self._health = health
        self._publisher = publisher
        self._name = name
        self._fresh = fresh
        self._patience = patience
        self._asked = 0.0  # when it was last asked and has not answered since

    def ready(self) -> bool:
        """It has beaten since it was started, which is when this was first called."""
        if not self._asked or time.time() - self._asked > ASK_AGAIN:
            self._ask()
        if self._beat() < self._asked:
            return False
        self._asked = 0.0
        return True

    def healthy(self) -> bool:
        """It has beaten lately, or still has time to answer; Redis being away is not its fault."""
        try:
            return self.state() is not State.SILENT
        except Transient:
            return True

    def state(self) -> State:
        """Look once, and ask where it has been silent. Raises ``Transient`` when Redis is out of reach."""
        now, beat = time.time(), self._beat()
        if now - beat < self._fresh or (self._asked and beat >= self._asked):
            self._asked = 0.0
            return State.AT_WORK
        if not self._asked:
            self._ask()
        return State.ASKED if now - self._asked < self._patience else State.SILENT

    def settled(self, sleep: Callable[[float], None] = time.sleep) -> State:
        """Look until it is known: at work or silent. Takes ``patience`` at the most. Raises as ``state``."""
        while (state := self.state()) is State.ASKED:
            sleep(LOOK_EVERY)
        return state

    def _beat(self) -> float:
        return self._health.beats().get(self._name, 0.0)

    def _ask(self) -> None:
        self._asked = time.time()
        if self._name in QUEUES:
            self._publisher.probe(self._name, self._patience)
