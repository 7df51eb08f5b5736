"""Writes received events to Redis in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from workers.events.sink import ReceivedEvents, commands
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox_room import InboxRoom
from workers.redis.connection import AsyncClient, StoreUnavailable, translated
from workers.redis.keys import Keys

TOGETHER = 500  # requests per round trip
MOST_WAITING = 32 * 2**20  # maximum bytes of waiting notifications


class BatchingWriter:
    """Writes events from one event loop.

    A round trip starts at once if none is in progress; events that arrive meanwhile share the next one. An idle
    gateway adds no delay, and a busy one sends few, large pipelines.
    """

    def __init__(
        self,
        client: AsyncClient,
        keys: Keys,
        append: Callable[[Sequence[ObjectEvent]], object] | None = None,
        room: InboxRoom | None = None,
    ) -> None:
        """``append``: stores events in the inboxes of their partitions, if there are several. It blocks.

        ``room``: whether more events are accepted; there is no limit without.
        """
        self._room = room
        self._looking: asyncio.Task[None] | None = None
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._append = append
        self._waiting: list[tuple[ReceivedEvents, asyncio.Future[None]]] = []
        self._bytes = 0
        self._sending: asyncio.Task[None] | None = None

    async def put(self, deposit: ReceivedEvents, size: int) -> None:
        """Write events and return when they are in Redis. ``size``: bytes of the notification.

        Raises ``StoreUnavailable`` if they may not be stored, if too many bytes are waiting, or if the inbox is full.
        """
        if deposit.events and self._room is not None:
            await self._require(self._room)
        if self._bytes + size > MOST_WAITING:
            raise StoreUnavailable("Redis is slow and too many events are waiting for it")
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append((deposit, stored))
        self._bytes += size
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        try:
            await stored
        finally:
            self._bytes -= size

    async def reachable(self) -> None:
        """Raises ``StoreUnavailable`` if Redis accepts no writes: with a full disk it still answers a ping."""
        with translated():
            await self._redis.set(self._keys.probe, b"", ex=60)

    async def close(self) -> None:
        """Write what is waiting and close the connection."""
        if self._sending is not None:
            await self._sending
        await self._redis.aclose()

    async def _require(self, room: InboxRoom) -> None:
        """Look whether the inbox is full, once for all requests that want to know."""
        if not room.stale:
            room.require()
            return
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(asyncio.to_thread(room.require))
        await asyncio.shield(self._looking)

    async def _send(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
                error = await self._stored([deposit for deposit, _ in batch])
                for _, stored in batch:
                    if stored.done():  # its request was cancelled
                        continue
                    if error is None:
                        stored.set_result(None)
                    else:
                        stored.set_exception(error)
        finally:
            self._sending = None

    async def _stored(self, batch: list[ReceivedEvents]) -> Exception | None:
        try:
            if self._append is not None and (events := [event for one in batch for event in one.events]):
                await asyncio.to_thread(self._append, events)
            with translated():
                pipe = self._redis.pipeline(transaction=False)
                for command in commands(batch, self._keys, partitioned=self._append is not None):
                    pipe.execute_command(*command)
                await pipe.execute()
        except Exception as exc:  # every request of the batch must get the error
            return exc
        return None
