"""How much memory the Redis servers use, of how much they may."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import msgspec
from redis.exceptions import NoPermissionError

from workers.redis.connection import Client, translated


class ServerMemory(msgspec.Struct, frozen=True):
    """Of one server. ``limit``: ``maxmemory`` in bytes, 0 without. ``evicted``: keys since it was started.

    ``run``: identifies the run of the server.
    """

    run: str
    used: int
    limit: int
    evicted: int

    @property
    def share(self) -> float | None:
        """Of the limit; ``None`` without one."""
        return self.used / self.limit if self.limit else None


def memory_of(clients: Iterable[Client]) -> list[ServerMemory]:
    """Of the servers of these clients, each once. Those that do not allow the question are left out.

    Raises ``StoreUnavailable``.
    """
    found: dict[str, ServerMemory] = {}
    asked: list[Any] = []
    for client in clients:
        if any(client is one for one in asked):
            continue
        asked.append(client)
        with translated(), contextlib.suppress(NoPermissionError):
            info: dict[str, Any] = dict(client.info("all"))
            run = str(info.get("run_id", ""))
            found[run] = ServerMemory(
                run, int(info.get("used_memory", 0)), int(info.get("maxmemory", 0)), int(info.get("evicted_keys", 0))
            )
    return list(found.values())
