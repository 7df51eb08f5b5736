"""Delays the application while Redis is unavailable, so that no keys of an unknown layout are served."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

import anyio.to_thread
from fastapi import FastAPI
from starlette.responses import Response

from vectordb.errors import Transient
from workers.gateway import problems, responses
from workers.gateway.behind_proxy import below
from workers.gateway.security_headers import secured

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

EVERY_S = 0.25  # between two attempts
READY = "/readyz"
API = "/v1/"


class StartGate:
    """An ASGI application that starts another one when ``require`` has returned.

    ``require`` raises ``Transient`` while Redis is unavailable and is called again. Until it returns, ``/readyz`` and
    the API answer 503. If it raises another error, that is stored in ``failure`` and ``stop`` is called.
    """

    def __init__(self, app: FastAPI, require: Callable[[], None], stop: Callable[[], None]) -> None:
        self._app = app
        self._require = require
        self._stop = stop
        self._open = False
        self._stopping = asyncio.Event()
        self._away = Transient("Redis has not been reached yet")
        self.failure: Exception | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._open or not (path := self._path(scope)).startswith((READY, API)):
            await self._app(scope, receive, send)
        else:
            await self._refusal(path)(scope, receive, secured(send))

    def _path(self, scope: Message) -> str:
        path = str(scope.get("path", ""))
        return below(self._app.state.root_path, path) or path

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        running = asyncio.create_task(self._run())
        await receive()  # the server stops
        self._stopping.set()
        await running
        await send({"type": "lifespan.shutdown.complete"})

    async def _run(self) -> None:
        try:
            if await self._verified():
                async with self._app.router.lifespan_context(self._app):
                    self._open = True
                    await self._stopping.wait()
        except Exception as exc:
            self.failure = exc
            self._stop()

    async def _verified(self) -> bool:
        """Whether ``require`` has returned before the server stops."""
        while not self._stopping.is_set():
            try:
                await anyio.to_thread.run_sync(self._require)
            except Transient as exc:
                self._away = exc
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), EVERY_S)
            else:
                return True
        return False

    def _refusal(self, path: str) -> Response:
        if path == READY:  # nobody can show a key now, so addresses are not named
            body = {
                "ready": False,
                "missing": {problems.service_of(self._away): "away"},
                "outages": [],
                "held_removals": [],
            }
            return responses.json(body, 503, {"Retry-After": "1"})
        return problems.anonymous(self._away).response()
