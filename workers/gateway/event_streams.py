"""Streams of server-sent events, with a limit on open streams, shared among API keys, and keep-alive comments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from typing import Any

import structlog
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from vectordb.errors import WildtagError
from workers.gateway.access import Caller
from workers.gateway.access_log import shown
from workers.gateway.admission import Places
from workers.gateway.problems import Problem

log = structlog.get_logger()

STUCK_S = 60.0  # seconds without reading after which a client is disconnected
RETRY_S = 5


def event(data: bytes, *, name: str, id: str | None = None) -> bytes:  # noqa: A002 -- the name of the field
    """One event. ``data``: JSON without line breaks."""
    return format_sse_event(data_str=data.decode("utf-8", "surrogateescape"), event=name, id=id)


class Streams:
    """Counts open streams. Refuses more than ``most``, and more than an API key's share of them."""

    def __init__(self, most: int, ping_s: float) -> None:
        """``ping_s``: seconds of silence after which a comment is sent, and access is checked."""
        self._places = Places(most, "event streams", RETRY_S)
        self._ping_s = ping_s
        self._closing = asyncio.Event()

    @property
    def open(self) -> int:
        """The number of open streams."""
        return self._places.used

    def response(self, events: AsyncIterator[bytes]) -> StreamingResponse:
        """A response that streams ``events``. Raises ``Problem`` at its start if too many are open."""
        return _Stream(self, _kept(events, self._closing, self._ping_s))

    def close(self) -> None:
        """End all streams, because the server stops: it waits for open responses. Clients connect again."""
        self._closing.set()

    def place(self, caller: Caller) -> AbstractContextManager[None]:
        """Occupy one stream. Raises ``Problem`` if there are too many."""
        return self._places.place(caller)


class _Stream(StreamingResponse):
    """Occupies a stream from before the first byte until the client is gone."""

    def __init__(self, streams: Streams, events: AsyncIterator[bytes]) -> None:
        headers = {"Cache-Control": "private, no-cache", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._streams = streams

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            async with asyncio.timeout(STUCK_S):
                await send(message)

        with self._streams.place(scope["state"]["caller"]):
            try:
                await super().__call__(scope, receive, sending)
            except TimeoutError:
                log.info("disconnected a client that does not read its stream", path=shown(scope["path"]))


async def _kept(events: AsyncIterator[bytes], closing: asyncio.Event, ping_s: float) -> AsyncIterator[bytes]:
    coming: asyncio.Future[bytes | None] | None = None
    end = asyncio.ensure_future(closing.wait())
    try:
        yield KEEPALIVE_COMMENT  # sent at once with the headers
        while not end.done():
            coming = coming or asyncio.ensure_future(_next(events))
            either: set[asyncio.Future[Any]] = {coming, end}
            await asyncio.wait(either, timeout=ping_s, return_when=asyncio.FIRST_COMPLETED)
            if end.done():
                return
            if not coming.done():
                yield KEEPALIVE_COMMENT
                continue
            data, coming = coming.result(), None
            if data is None:
                return
            yield data
    except (Problem, WildtagError):
        return  # the object is gone or a service is unavailable: the client reconnects and gets the error
    finally:
        end.cancel()
        if coming is not None:
            coming.cancel()


async def _next(events: AsyncIterator[bytes]) -> bytes | None:
    return await anext(events, None)
