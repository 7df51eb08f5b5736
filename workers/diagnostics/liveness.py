"""Liveness of processes: by their heartbeats, and for idle workers by a probe.

The supervisor has a ``LivenessCheck`` for each of its services. ``wildtag alive`` runs one for the health checks of
Compose and Kubernetes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum

from vectordb.errors import Transient
from workers.broker.publisher import Sender
from workers.redis.heartbeats import Health
from workers.settings.settings import QUEUES

FRESH = 60.0  # seconds; maximum age of the last heartbeat of a live process
PATIENCE = 60.0  # seconds that a silent process has to answer a probe
PROBE_AGAIN = 30.0
CHECK_EVERY = 0.25

# processes that can be checked: workers answer probes, the others send heartbeats by themselves
NAMES = (*QUEUES, "dispatcher", "watcher", "reconcile", "writer", "notifier", "listener", "redis-target")


class State(Enum):
    """The state of a process."""

    ALIVE = "alive"
    PROBED = "probed"  # silent, but still has time to answer
    SILENT = "silent"


class LivenessCheck:
    """Whether a process is alive, by its heartbeats. Workers send them only while they work, so idle ones are probed.

    Heartbeats belong to a queue: with several workers on one queue, a heartbeat shows that one of them consumes it.
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
        self._probed_at = 0.0  # when the unanswered probe was sent; 0 without one

    def ready(self) -> bool:
        """Whether it has sent a heartbeat since the first call, which is when it was started."""
        if not self._probed_at or self._health.now() - self._probed_at > PROBE_AGAIN:
            self._probe()
        if self._beat() < self._probed_at:
            return False
        self._probed_at = 0.0
        return True

    def healthy(self) -> bool:
        """Whether it sent a heartbeat recently or still has time to answer. True while Redis is unavailable."""
        try:
            return self.state() is not State.SILENT
        except Transient:
            return True

    def state(self) -> State:
        """Check once, and send a probe if it is silent. Raises ``Transient`` if Redis is unavailable."""
        now, beat = self._health.now(), self._beat()
        if now - beat < self._fresh or (self._probed_at and beat >= self._probed_at):
            self._probed_at = 0.0
            return State.ALIVE
        if not self._probed_at:
            self._probe()
        return State.PROBED if now - self._probed_at < self._patience else State.SILENT

    def settled(self, sleep: Callable[[float], None] = time.sleep) -> State:
        """Check until the state is alive or silent, for at most ``patience`` seconds. Raises as ``state``."""
        while (state := self.state()) is State.PROBED:
            sleep(CHECK_EVERY)
        return state

    def _beat(self) -> float:
        return self._health.beats().get(self._name, 0.0)

    def _probe(self) -> None:
        self._probed_at = self._health.now()
        if self._name in QUEUES:
            self._publisher.probe(self._name, self._patience)
