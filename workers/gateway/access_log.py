"""Middleware: the id of each request, and a line for each in the log.

The id is that of the header ``X-Request-Id`` if it is valid, so that the log of a proxy and that of the gateway have
the same id; otherwise a new one. It is in the response, in problem documents, in every line that the gateway logs for
the request, and in those of all processes about the images of the request.

A line has the path without its query: the query of a form may contain a signature. Nor does it have the token of
an upload form, which is a part of the path.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import structlog
from starlette.types import Message
from structlog.contextvars import bind_contextvars

from workers.telemetry.origin import RequestContext, current, request_id, traceparent

log = structlog.get_logger()

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

HEADER = "X-Request-Id"
FREQUENT = frozenset({"/healthz", "/readyz", "/metrics"})
_TOKEN = re.compile(r"(/v1/uploads/)[^/]+")
_MOST = 1000  # characters of a path


class AccessLog:
    """The middleware, directly inside of that for proxies, so that it knows the address of the client.

    ``files``: the paths of the pages. ``lines``: whether requests are logged.
    """

    def __init__(self, app: Any, files: Collection[str], *, lines: bool) -> None:
        self._app = app
        self._files = files
        self._lines = lines

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given, parent = _headers(scope)
        made = request_id(given)
        current.set(RequestContext(made, traceparent(parent)))  # a request has a task, and so a context, of its own
        bind_contextvars(request=made)
        header = (b"x-request-id", made.encode())
        path, began = scope["path"], time.perf_counter()
        status = came = went = 0

        async def receiving() -> Message:
            nonlocal came
            message: Message = await receive()
            came += len(message.get("body", b""))
            return message

        async def sending(message: Any) -> None:
            nonlocal status, went
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), header]
            else:
                went += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receiving, sending)
        except BaseException:
            status = status or 500
            raise
        finally:
            if self._lines:
                frequent = path in FREQUENT or path in self._files
                caller = scope.get("state", {}).get("caller")
                (log.debug if frequent else log.info)(
                    "request", method=scope["method"][:10], route=getattr(scope.get("route"), "path", ""),
                    path=shown(path), status=status, ms=round((time.perf_counter() - began) * 1000, 1), bytes_in=came,
                    bytes_out=went, client=(scope.get("client") or ("",))[0], key=getattr(caller, "name", ""),
                )  # fmt: skip


def shown(path: str) -> str:
    """A path without the token that it may contain."""
    return _TOKEN.sub(r"\1***", path[:_MOST])


def _headers(scope: Any) -> tuple[str | None, str | None]:
    given = parent = None
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given = value.decode("latin-1")
        elif name == b"traceparent":
            parent = value.decode("latin-1")
    return given, parent
