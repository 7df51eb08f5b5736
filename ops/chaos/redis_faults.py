"""Faults of Redis and of the network to it."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import redis

from ops.chaos.fault import Fault
from ops.chaos.proxy import Proxy, Toxic
from ops.chaos.redis_process import RedisProcess, until

_BEHIND_S = 3.0  # the replica of a failover


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


class Failover(Fault):
    """The primary is killed and a replica promoted that is behind: what it never received is lost."""

    loses = True
    loses_s = _BEHIND_S + 2.0

    def begin(self) -> None:
        """Start a replica, cut it off, wait, kill the primary, and promote the replica. The loss is measured."""
        old = self.world.redis
        replica = RedisProcess(self.world.home / "own-redis" / f"replica-{old.port}")
        replica.start()
        between = Proxy(old.port)
        try:
            replica.client.replicaof("127.0.0.1", between.port)
            until(lambda: _link(replica) == "up", 60, "the replica does not follow", (redis.RedisError,))
            between.set(Toxic.BLACKHOLE)  # and nobody notices
            time.sleep(_BEHIND_S)
            loss = _ahead(old, replica)
            old.end(signal.SIGKILL)
        finally:
            between.close()
        replica.client.replicaof("NO", "ONE")
        self.world.losses.append(loss)
        self.world.promote(replica)
        self.victim = ", ".join(f"{count} {what}" for what, count in loss.items())


def _link(replica: RedisProcess) -> str:
    return str(replica.client.info("replication").get("master_link_status"))


def _ahead(primary: RedisProcess, replica: RedisProcess) -> dict[str, int]:
    """What a primary has and its replica has not: bytes of commands, keys, and entries of streams."""
    sides = [one.client for one in (replica, primary)]
    behind, ahead = (side.info("replication")["master_repl_offset"] for side in sides)
    behind = sides[0].info("replication").get("slave_repl_offset", behind)
    found = {"bytes": int(ahead) - int(behind), "keys": sides[1].dbsize() - sides[0].dbsize()}
    for key in sides[1].scan_iter(match="*", count=1000, _type="stream"):
        counts = [_entries(side, key) for side in sides]
        if counts[1] > counts[0]:
            found[key.decode(errors="replace")] = counts[1] - counts[0]
    return found


def _entries(client: Any, key: bytes) -> int:
    try:
        about = client.xinfo_stream(key)
    except redis.ResponseError:
        return 0
    return int(about.get("entries-added", about["length"]))


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
