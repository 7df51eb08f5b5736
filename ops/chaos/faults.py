"""The faults, each by its name: how it begins and how it ends. ``mend`` leaves a world that can recover by itself."""

from __future__ import annotations

import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import psutil

from ops.bench.processes import SUPERVISOR
from ops.chaos.proxy import Toxic
from ops.chaos.store_proxy import Trouble
from ops.chaos.world import World
from vectordb.errors import Permanent


class Fault(ABC):
    """A fault. ``chance``, in [0, 1), chooses its victim. A fault is used once."""

    loses = False
    """Whether Redis loses what it has acknowledged, so that records may be made twice."""

    def __init__(self, world: World, chance: float) -> None:
        self.world = world
        self.chance = chance
        self.victim = ""

    @abstractmethod
    def begin(self) -> None:
        """Let it happen."""

    def mend(self) -> None:  # noqa: B027 -- most need nothing
        """End it. Nothing by default: what was ended is restarted by its supervisor."""

    def _chosen(self) -> list[psutil.Process]:
        """The processes of a service other than the supervisor."""
        services = {name: found for name, found in self.world.services().items() if name != SUPERVISOR and found}
        if not services:
            return []
        self.victim = sorted(services)[int(self.chance * len(services))]
        return services[self.victim]


class Signalled(Fault):
    """A signal to a service. ``children``: also to its descendants."""

    number = signal.SIGKILL
    children = True

    def begin(self) -> None:
        """Send it."""
        processes = self._chosen()
        for process in reversed(processes) if self.children else processes[:1]:
            _send(process, self.number)


class Kill(Signalled):
    """SIGKILL to a service and its descendants, as the kernel does when memory runs out."""


class KillChild(Signalled):
    """SIGKILL to one descendant of a service, or to the service if it has none."""

    def begin(self) -> None:
        """Kill the last of them."""
        for process in self._chosen()[-1:]:
            _send(process, signal.SIGKILL)


class Terminate(Signalled):
    """SIGTERM to a service."""

    number = signal.SIGTERM
    children = False


class Stop(Fault):
    """SIGSTOP to a service and its descendants, and SIGCONT later."""

    def begin(self) -> None:
        """Stop them."""
        self._stopped = self._chosen()
        for process in self._stopped:
            _send(process, signal.SIGSTOP)

    def mend(self) -> None:
        """Let them go on, if they are still there."""
        for process in self._stopped:
            _send(process, signal.SIGCONT)


class KillSupervisor(Fault):
    """SIGKILL to the supervisor; its guardian ends the rest, and somebody starts it again."""

    def begin(self) -> None:
        """Kill it, and wait until nothing of the stack is left."""
        self.victim = SUPERVISOR
        _send(self.world.services()[SUPERVISOR][0], signal.SIGKILL)
        self.world.reap()

    def mend(self) -> None:
        """Start it again."""
        self.world.start()


class KillGuardian(Fault):
    """SIGKILL to the process that watches the supervisor."""

    def begin(self) -> None:
        """Kill it."""
        self.victim = "guardian"
        for process in self.world.guardians():
            _send(process, signal.SIGKILL)


class RedisKill(Fault):
    """SIGKILL to Redis, started again later. Its file has all but the last second."""

    loses = True

    def begin(self) -> None:
        """Kill it."""
        self.world.redis.end(signal.SIGKILL)

    def mend(self) -> None:
        """Start it again."""
        self.world.redis.start()


class RedisRestart(RedisKill):
    """An orderly stop of Redis, and its start later: nothing of its data is lost."""

    loses = False

    def begin(self) -> None:
        """Stop it."""
        self.world.redis.end(signal.SIGTERM)


class RedisStop(Fault):
    """SIGSTOP to Redis: connected, and silent."""

    def begin(self) -> None:
        """Stop it."""
        os.kill(self.world.redis.pid, signal.SIGSTOP)

    def mend(self) -> None:
        """Let it go on."""
        os.kill(self.world.redis.pid, signal.SIGCONT)


class RedisCutOff(RedisKill):
    """Redis is killed in the middle of writing its file, whose last bytes are missing."""

    def begin(self) -> None:
        """Kill it, and cut its file off."""
        super().begin()
        files = sorted(self.world.redis.folder.glob("appendonlydir/*.incr.aof"))
        for file in files[-1:]:
            with file.open("r+b") as opened:
                opened.truncate(max(0, file.stat().st_size - 100))


class RedisFull(Fault):
    """Redis has reached ``maxmemory``, and refuses writes."""

    def begin(self) -> None:
        """Lower the limit below what is used."""
        self.world.redis.client.config_set("maxmemory", "1mb")

    def mend(self) -> None:
        """Raise it again."""
        self.world.redis.client.config_set("maxmemory", "512mb")


class RedisReadOnly(Fault):
    """Redis has become a replica, which refuses writes, and becomes a primary again."""

    def begin(self) -> None:
        """Follow a server that does not answer; the data stay."""
        self.world.redis.client.replicaof("127.0.0.1", 1)

    def mend(self) -> None:
        """Become a primary again."""
        self.world.redis.client.replicaof("NO", "ONE")


class RedisFlushed(Fault):
    """Somebody removes all keys (FLUSHALL)."""

    loses = True

    def begin(self) -> None:
        """Remove them."""
        self.world.redis.client.flushall()


class Network(Fault):
    """The network between the stack and Redis."""

    toxic = Toxic.RESET

    def begin(self) -> None:
        """Let it happen to every connection."""
        self.world.proxy.set(self.toxic)

    def mend(self) -> None:
        """Let them pass again."""
        self.world.proxy.set(Toxic.NONE)


class NetworkBlackhole(Network):
    """What is sent arrives nowhere, and nobody says so."""

    toxic = Toxic.BLACKHOLE


class NetworkLate(Network):
    """Each piece is late by 0.4 s."""

    toxic = Toxic.LATE


class NetworkSlow(Network):
    """2 kB a second for each connection."""

    toxic = Toxic.SLOW


class StoreTrouble(Fault):
    """The S3 server, or the network to it, as wildtag sees it."""

    def __init__(self, world: World, chance: float, trouble: Trouble) -> None:
        super().__init__(world, chance)
        self._trouble = trouble

    def begin(self) -> None:
        """Let it happen to every request."""
        self._set(self._trouble)

    def mend(self) -> None:
        """Answer rightly again."""
        self._set(Trouble.NONE)

    def _set(self, trouble: Trouble) -> None:
        if self.world.store is None:
            raise Permanent("the bucket of this run is a folder")
        self.world.store.trouble = trouble


FAULTS: dict[str, Callable[[World, float], Fault]] = {
    "kill": Kill, "kill-child": KillChild, "terminate": Terminate, "stop": Stop, "kill-supervisor": KillSupervisor,
    "kill-guardian": KillGuardian, "redis-restart": RedisRestart, "redis-kill": RedisKill, "redis-stop": RedisStop,
    "redis-cut-off": RedisCutOff, "redis-full": RedisFull, "redis-read-only": RedisReadOnly,
    "redis-flushed": RedisFlushed, "network-reset": Network, "network-blackhole": NetworkBlackhole,
    "network-late": NetworkLate, "network-slow": NetworkSlow,
    **{f"store-{trouble.value.replace(' ', '-')}": partial(StoreTrouble, trouble=trouble)
       for trouble in Trouble if trouble is not Trouble.NONE},
}  # fmt: skip


LOSING = frozenset(name for name, fault in FAULTS.items() if getattr(fault, "loses", False))
"""Those at which Redis loses what it has acknowledged."""


def _send(process: psutil.Process, number: int) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
