"""Middleware for every request: limits on speed, UTF-8 paths, and security headers.

A response is sent in pieces, each when the one before is on its way. A large one that was handed over as a whole
would stay in memory for each client that does not read it, after its handler has ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

import structlog
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException

from workers.gateway import security_headers
from workers.gateway.access_log import shown
from workers.gateway.problems import Problem

log = structlog.get_logger()

SLOWEST = 1024  # minimum bytes per second of a body
STUCK_S = 60.0  # until a client that reads no further piece of a response is disconnected
PIECE = 2**16  # bytes of a response that are sent at a time
SLOW_AFTER_S = 60.0  # seconds after which it applies, so that slow senders cannot block all uploads
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class ClientStuck(OSError):
    """The client reads no more of its response. To Starlette it is gone."""


class Guards:
    """The middleware."""

    stuck_s = STUCK_S

    def __init__(self, app: Any, pages: Callable[[str], str | None], patience_s: float) -> None:
        """``pages``: returns the content security policy of a path, ``None`` for the strict one.

        ``patience_s``: maximum seconds between two chunks of a body.
        """
        self._app = app
        self._pages = pages
        self._patience_s = patience_s

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        stuck = False

        async def in_time(message: Any) -> None:
            nonlocal stuck
            try:
                async with asyncio.timeout(self.stuck_s):
                    await send(message)
            except TimeoutError as exc:
                stuck = True
                raise ClientStuck from exc

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                security_headers.add(MutableHeaders(scope=message), self._pages(path))
            for piece in _pieces(message):
                await in_time(piece)

        refused = _refused(scope)
        if refused is not None:
            await refused.response()(scope, receive, sending)
            return
        try:
            await self._app(scope, _Body(receive, self._patience_s), sending)
        except Exception:
            if not stuck:  # else it is about the response that nobody reads
                raise
            log.info("disconnected a client that does not read its response", path=shown(path))


class _Body:
    """Passes on a body in chunks. Raises ``HTTPException``, which FastAPI passes on."""

    def __init__(self, receive: Receive, patience_s: float) -> None:
        self._receive = receive
        self._patience_s = patience_s
        self._size = 0
        self._began = time.monotonic()
        self._ended = False

    async def __call__(self) -> Any:
        if self._ended:  # only the disconnect is left, which may take any time
            return await self._receive()
        try:
            async with asyncio.timeout(self._patience_s):
                message = await self._receive()
        except TimeoutError:
            close = {"Connection": "close"}
            raise HTTPException(408, f"no data arrived for {self._patience_s:g} s", close) from None
        self._ended = not message.get("more_body", False)
        self._size += len(message.get("body", b""))
        lasted = time.monotonic() - self._began
        if lasted > SLOW_AFTER_S and self._size < lasted * SLOWEST:
            raise HTTPException(
                408, f"the body arrived at less than {SLOWEST} bytes per second", {"Connection": "close"}
            )
        return message


def _pieces(message: Any) -> Iterator[Any]:
    body = message.get("body", b"")
    if len(body) <= PIECE:
        yield message
        return
    for at in range(0, len(body), PIECE):
        more = at + PIECE < len(body) or message.get("more_body", False)
        yield {**message, "body": body[at : at + PIECE], "more_body": more}


def _refused(scope: Any) -> Problem | None:
    try:
        unquote_to_bytes(scope.get("raw_path") or scope["path"].encode()).decode()
    except UnicodeDecodeError:
        return Problem("bad-key", "the path is not valid UTF-8")
    return None
