"""What every request passes: sizes and paces, keys that are text, and headers that keep browsers from harm."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException

from workers.gateway.problems import Problem

SLOWEST = 1024  # bytes a second of a body that takes longer than
SLOW_AFTER_S = 60.0  # seconds: drop by drop a few senders would hold all places for uploads
LARGEST_JSON = 4 * 2**20  # bytes of a body that is no image and no notification
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

# of everything that is no page: it may load nothing and be shown nowhere
STRICT = "default-src 'none'; frame-ancestors 'none'"
PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
# Swagger UI sets styles of elements, has small pictures in its style sheet, and makes markup
DOCS = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Guards:
    """Middleware. ``streamed``: addresses whose bodies have limits of their own."""

    def __init__(
        self, app: Any, streamed: frozenset[str], pages: Callable[[str], str | None], patience_s: float
    ) -> None:
        """``pages``: the content security policy of an address, ``None`` for the strict one.

        ``patience_s``: seconds that the next piece of a body may take.
        """
        self._app = app
        self._streamed = streamed
        self._pages = pages
        self._patience_s = patience_s

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", self._pages(path) or STRICT)
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Referrer-Policy", "no-referrer")
                headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
            await send(message)

        refused = _refused(scope)
        if refused is not None:
            await refused.response()(scope, receive, sending)
            return
        body = _Body(receive, self._patience_s, None if path in self._streamed else LARGEST_JSON)
        await self._app(scope, body, sending)


class _Body:
    """Gives a body piece by piece, up to its limit. Raises what FastAPI lets through while it reads one."""

    def __init__(self, receive: Receive, patience_s: float, limit: int | None) -> None:
        self._receive = receive
        self._patience_s = patience_s
        self._limit = limit
        self._size = 0
        self._began = time.monotonic()
        self._ended = False

    async def __call__(self) -> Any:
        if self._ended:  # what comes now is that whoever asked has gone, which has time
            return await self._receive()
        try:
            async with asyncio.timeout(self._patience_s):
                message = await self._receive()
        except TimeoutError:
            close = {"Connection": "close"}
            raise HTTPException(408, f"nothing came for {self._patience_s:g} s", close) from None
        self._ended = not message.get("more_body", False)
        self._size += len(message.get("body", b""))
        lasted = time.monotonic() - self._began
        if lasted > SLOW_AFTER_S and self._size < lasted * SLOWEST:
            raise HTTPException(408, f"less than {SLOWEST} bytes a second came", {"Connection": "close"})
        if self._limit is not None and self._size > self._limit:
            # the rest is dropped as it comes: senders that are hung up on see no answer
            raise HTTPException(413, f"the body has more than {self._limit:,} bytes")
        return message


def _refused(scope: Any) -> Problem | None:
    try:
        unquote_to_bytes(scope.get("raw_path") or scope["path"].encode()).decode()
    except UnicodeDecodeError:
        return Problem("bad-key", "the address is not UTF-8")
    return None
