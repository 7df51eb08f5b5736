"""Connections to the node that serves a slot of a Redis Cluster, wherever that is."""

from __future__ import annotations

import asyncio
from typing import Any

import redis
from redis.asyncio.connection import Connection as AsyncConnection
from redis.asyncio.connection import SSLConnection as AsyncSSLConnection
from redis.connection import Connection, SSLConnection
from redis.exceptions import MovedError

from workers.redis.slot_owner import Node, SlotOwner


class SlotMoved(redis.ConnectionError):
    """Another node serves the slot. It counts as a dropped connection, so redis-py connects again and repeats."""


class _Following:
    """A connection to the node that serves the slot."""

    _owner: SlotOwner
    host: str
    port: int

    def _choose(self) -> Node:
        self.host, self.port = self._owner.address()
        return self.host, self.port

    def _noticed(self, exc: Exception) -> Exception:
        """What to raise for an error."""
        if isinstance(exc, MovedError):
            node = (exc.host or self.host), exc.port
            self._owner.found(node)
            return SlotMoved(f"slot {self._owner.slot} is served by {node[0]}:{node[1]}")
        self._owner.forget((self.host, self.port))
        return exc


FAULTS = (MovedError, redis.ConnectionError, redis.TimeoutError)


class SlotConnection(_Following, Connection):
    """A connection of a ``SlotClient``."""

    def __init__(self, *, owner: SlotOwner, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]  # redis-py's
        self._owner = owner

    def _connect(self) -> Any:
        node = self._choose()
        try:
            return super()._connect()  # type: ignore[no-untyped-call]  # redis-py's
        except OSError:
            self._owner.forget(node)
            raise

    def read_response(self, *args: Any, **options: Any) -> Any:
        """See redis-py."""
        try:
            return super().read_response(*args, **options)
        except FAULTS as exc:
            raise self._noticed(exc) from exc


class SlotTlsConnection(SlotConnection, SSLConnection):
    """The same with TLS."""


class AsyncSlotConnection(_Following, AsyncConnection):
    """A connection of an ``AsyncSlotClient``."""

    def __init__(self, *, owner: SlotOwner, **options: Any) -> None:
        super().__init__(**options)
        self._owner = owner

    async def _connect(self) -> None:
        node = await asyncio.to_thread(self._choose)
        try:
            await super()._connect()  # type: ignore[no-untyped-call]  # as above
        except OSError:
            self._owner.forget(node)
            raise

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """See redis-py."""
        try:
            return await super().read_response(*args, **options)
        except FAULTS as exc:
            raise self._noticed(exc) from exc


class AsyncSlotTlsConnection(AsyncSlotConnection, AsyncSSLConnection):
    """The same with TLS."""
