"""The servers on which the keys are: whether they answer, and how much memory they use."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from redis.exceptions import NoPermissionError

from workers.redis.connection import Client, translated
from workers.redis.keys import Keys
from workers.redis.slot_client import SlotClient

LOCAL = "local"


class RedisServer(msgspec.Struct, frozen=True):
    """``node``: ``host:port``, or ``local`` for a unix socket. Memory in bytes; ``limit`` 0: none.

    ``evicted``: keys since it was started.
    """

    node: str
    used: int
    limit: int
    evicted: int

    @property
    def share(self) -> float | None:
        """The used memory, of the limit; ``None`` without one."""
        return self.used / self.limit if self.limit else None


class RedisServers:
    """Asks the servers of these clients, each once. Raises ``StoreUnavailable`` if one does not answer.

    ``clients``: with a short patience, so that a server that hangs is noticed.
    """

    def __init__(self, clients: Sequence[Client], keys: Keys) -> None:
        self._clients = clients
        self._keys = keys

    def require(self) -> None:
        """Return if the first one accepts writes."""
        require_writes(self._clients[0], self._keys)

    def read(self) -> list[RedisServer]:
        """All servers, by name. A server that does not allow INFO is left out."""
        found: dict[str, RedisServer] = {}
        for client in dict.fromkeys(self._clients):
            with translated():
                node = _node(client)
                if node in found:
                    continue
                with contextlib.suppress(NoPermissionError):
                    info: Any = client.info()
                    found[node] = _server(node, info)
        return [found[node] for node in sorted(found)]


def require_writes(client: Client, keys: Keys) -> None:
    """Raises ``StoreUnavailable`` if Redis accepts no writes: one that is full still answers a ping."""
    with translated(), contextlib.suppress(NoPermissionError):  # of a user who may only read
        client.set(keys.probe, b"", ex=60)


def _node(client: Client) -> str:
    if isinstance(client, SlotClient):
        host, port = client.slot.owner.address()
        return f"{host}:{port}"
    options = client.connection_pool.connection_kwargs
    return LOCAL if "path" in options else f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"


def _server(node: str, info: Mapping[str, Any]) -> RedisServer:
    return RedisServer(
        node, int(info.get("used_memory", 0)), int(info.get("maxmemory", 0)), int(info.get("evicted_keys", 0))
    )
