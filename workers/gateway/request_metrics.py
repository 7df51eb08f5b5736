"""Middleware that counts requests by route, not by path, so that no keys get into metrics."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from workers.monitoring.catalogue import HTTP_DURATION, HTTP_REQUESTS
from workers.monitoring.meter import METER

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"  # a method or a path that only its sender knows


class Measuring:
    """Counts each response when its headers are sent, and each request that an unexpected error ended."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        counted = False

        def count(status: int) -> None:
            nonlocal counted
            counted = True
            route = getattr(scope.get("route"), "path", OTHER)
            method = scope["method"] if scope["method"] in METHODS else OTHER
            METER.count(HTTP_REQUESTS, 1.0, method, route, str(status))
            METER.observe(HTTP_DURATION, time.perf_counter() - began, route)

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                count(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            if not counted:  # the response to it is made outside of all middleware
                count(500)
            raise
