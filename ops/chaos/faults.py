"""All faults by their names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ops.chaos.fault import Fault
from ops.chaos.machine_faults import DiskFull, NoDescriptors, NoMemory, Starved
from ops.chaos.process_faults import Kill, KillChild, KillGuardian, KillSupervisor, Stop, Terminate
from ops.chaos.redis_faults import (
    Network,
    NetworkBlackhole,
    NetworkLate,
    NetworkSlow,
    RedisCutOff,
    RedisFlushed,
    RedisFull,
    RedisKill,
    RedisReadOnly,
    RedisRestart,
    RedisStop,
)
from ops.chaos.store_faults import StoreTrouble
from ops.chaos.store_proxy import Trouble
from ops.chaos.world import World

FAULTS: dict[str, Callable[[World, float], Fault]] = {
    "kill": Kill, "kill-child": KillChild, "terminate": Terminate, "stop": Stop, "kill-supervisor": KillSupervisor,
    "kill-guardian": KillGuardian, "redis-restart": RedisRestart, "redis-kill": RedisKill, "redis-stop": RedisStop,
    "redis-cut-off": RedisCutOff, "redis-full": RedisFull, "redis-read-only": RedisReadOnly,
    "redis-flushed": RedisFlushed, "network-reset": Network, "network-blackhole": NetworkBlackhole,
    "no-memory": NoMemory, "no-descriptors": NoDescriptors, "starved": Starved, "disk-full": DiskFull,
    "network-late": NetworkLate, "network-slow": NetworkSlow,
    **{f"store-{trouble.value.replace(' ', '-')}": partial(StoreTrouble, trouble=trouble)
       for trouble in Trouble if trouble is not Trouble.NONE},
}  # fmt: skip


LOSING = frozenset(name for name, fault in FAULTS.items() if getattr(fault, "loses", False))
"""Those at which Redis loses what it has acknowledged."""


def possible(*, store: bool, disk: bool) -> list[str]:
    """The names of the faults that can happen. ``store``: the bucket is on a server. ``disk``: the home has one."""
    return [
        name for name in FAULTS if (store or not name.startswith("store-")) and (disk or not name.startswith("disk-"))
    ]
