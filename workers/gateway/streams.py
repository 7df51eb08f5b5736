"""Server-sent events: how many at once, and what keeps them alive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from vectordb.errors import Transient
from workers.gateway.problems import Problem

PING_S = 15.0


def event(data: bytes, *, name: str, id: str | None = None) -> bytes:  # noqa: A002 -- the field's name
    """One event. ``data``: JSON without line breaks."""
    return format_sse_event(data_str=data.decode("utf-8", "surrogateescape"), event=name, id=id)


class Streams:
    """The streams that are open; more than ``most`` are refused."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.open = 0

    def response(self, events: AsyncIterator[bytes]) -> StreamingResponse:
        """An answer that goes on for as long as there are events. Raises ``Problem``."""
        if self.open >= self._most:
            raise Problem.later("too-many", f"{self.open} event streams are open already", 5)
        return StreamingResponse(
            self._kept(events), media_type="text/event-stream",
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
        )  # fmt: skip

    async def _kept(self, events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self.open += 1
        coming: asyncio.Future[bytes | None] | None = None
        try:
            yield KEEPALIVE_COMMENT  # the headers and this go out at once
            while True:
                coming = coming or asyncio.ensure_future(_next(events))
                done, _ = await asyncio.wait([coming], timeout=PING_S)
                if not done:
                    yield KEEPALIVE_COMMENT
                    continue
                data, coming = coming.result(), None
                if data is None:
                    return
                yield data
        except (Problem, Transient):
            return  # what was asked after is gone, or something is away: whoever listens comes again and is told
        finally:
            self.open -= 1
            if coming is not None:
                coming.cancel()


async def _next(events: AsyncIterator[bytes]) -> bytes | None:
    return await anext(events, None)
