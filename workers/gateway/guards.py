"""What every request passes: sizes, keys that are text, and headers that keep browsers from harm."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.datastructures import MutableHeaders

from workers.gateway.problems import Problem

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

    def __init__(self, app: Any, streamed: frozenset[str], pages: Callable[[str], str | None]) -> None:
        """``pages``: the content security policy of an address, ``None`` for the strict one."""
        self._app = app
        self._streamed = streamed
        self._pages = pages

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
        limited = receive if path in self._streamed else _Limited(receive)
        await self._app(scope, limited, sending)


class _Limited:
    """Gives a body up to its limit."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._size = 0

    async def __call__(self) -> Any:
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._size > LARGEST_JSON:
            too_large = f"the body has more than {LARGEST_JSON:,} bytes"
            raise Problem("too-large", too_large, headers={"Connection": "close"})
        return message


def _refused(scope: Any) -> Problem | None:
    try:
        unquote_to_bytes(scope.get("raw_path") or scope["path"].encode()).decode()
    except UnicodeDecodeError:
        return Problem("bad-key", "the address is not UTF-8")
    return None
