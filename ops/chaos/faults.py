"""All faults by their names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ops.chaos.fault import Fault
from ops.chaos.index_faults import (
    IndexAway,
    IndexDamaged,
    ServerAway,
    ServerFault,
    ServerSilent,
    ServerSlow,
    ServerWrongDimension,
    SnapshotRestored,
)
from ops.chaos.machine_faults import (
    ClockJumps,
    DiskFull,
    DiskFullBucket,
    DiskFullRedis,
    DiskFullTemporary,
    NoDescriptors,
    NoMemory,
    Starved,
)
from ops.chaos.process_faults import (
    Kill,
    KillChild,
    KillGuardian,
    KillPrefork,
    KillSupervisor,
    Stop,
    StopGuardian,
    StopPrefork,
    StopSupervisor,
    Terminate,
    TerminateGuardian,
    TerminatePrefork,
    TerminateSupervisor,
    Unwatched,
)
from ops.chaos.redis_faults import (
    Failover,
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
from ops.chaos.world import World, faketime

FAULTS: dict[str, Callable[[World, float], Fault]] = {
    "kill": Kill, "kill-child": KillChild, "terminate": Terminate, "stop": Stop, "kill-supervisor": KillSupervisor,
    "kill-guardian": KillGuardian, "redis-restart": RedisRestart, "redis-kill": RedisKill, "redis-stop": RedisStop,
    "redis-cut-off": RedisCutOff, "redis-full": RedisFull, "redis-read-only": RedisReadOnly,
    "redis-flushed": RedisFlushed, "network-reset": Network, "network-blackhole": NetworkBlackhole,
    "no-memory": NoMemory, "no-descriptors": NoDescriptors, "starved": Starved, "disk-full": DiskFull,
    "disk-full-redis": DiskFullRedis, "disk-full-bucket": DiskFullBucket, "clock-jumps": ClockJumps,
    "failover": Failover, "unwatched": Unwatched, "index-away": IndexAway, "index-damaged": IndexDamaged,
    "snapshot-restored": SnapshotRestored, "server-away": ServerAway, "server-slow": ServerSlow,
    "server-silent": ServerSilent, "server-500": ServerFault, "server-wrong-dimension": ServerWrongDimension,
    "network-late": NetworkLate, "network-slow": NetworkSlow, "terminate-supervisor": TerminateSupervisor,
    "stop-supervisor": StopSupervisor, "terminate-guardian": TerminateGuardian, "stop-guardian": StopGuardian,
    "kill-prefork": KillPrefork, "terminate-prefork": TerminatePrefork, "stop-prefork": StopPrefork,
    "disk-full-temporary": DiskFullTemporary,
    **{f"store-{trouble.value.replace(' ', '-')}": partial(StoreTrouble, trouble=trouble)
       for trouble in Trouble if trouble is not Trouble.NONE},
}  # fmt: skip


LOSING = frozenset(name for name, fault in FAULTS.items() if getattr(fault, "loses", False))
"""Those at which Redis loses what it has acknowledged."""


_NEEDED = {
    "store-": "store", "disk-": "disk", "server-": "server", "index-": "embedded", "snapshot-": "switching",
    "clock-": "faketime",
}  # fmt: skip
"""What the faults need whose names begin so."""


def possible(*, store: bool, disk: bool, server: bool = False, switching: bool = True) -> list[str]:
    """The names of the faults that can happen.

    ``store``: the bucket is on a server. ``disk``: the home has disks of its own. ``server``: the indexes are on a
    server. ``switching``: there are several caption databases.
    """
    there = {"store": store, "disk": disk, "server": server, "embedded": not server, "switching": switching,
             "faketime": faketime() is not None}  # fmt: skip
    return [name for name in FAULTS if all(there[need] for begin, need in _NEEDED.items() if name.startswith(begin))]
