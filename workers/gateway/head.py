"""Middleware: HEAD wherever GET is. A HEAD request is handled as GET, and its response ends with the headers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Answered(OSError):
    """The headers have been sent, which is all. To Starlette the client is gone, so a stream ends."""


class Head:
    """The middleware. Put it around what depends on the method: access, limits and routes."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        ended = False

        async def sending(message: Any) -> None:
            nonlocal ended
            if ended:
                raise Answered
            scope["method"] = "HEAD"  # the server sends no body then, whatever Content-Length says
            if message["type"] == "http.response.body":
                ended = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                if message.get("more_body", False):
                    raise Answered
            else:
                await send(message)

        scope["method"] = "GET"
        try:
            await self._app(scope, receive, sending)
        except Exception:
            if not ended:  # else it is about the body that is not sent
                raise
        finally:
            scope["method"] = "HEAD"
