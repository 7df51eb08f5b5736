"""Runs the gateway with uvicorn: one process with one event loop."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from workers.gateway.start_gate import StartGate

log = structlog.get_logger()

# seconds; Go clients keep idle connections for 90: closing earlier could hit a request in transit
KEEP_ALIVE = 120
HEADERS = 2**16  # maximum bytes of the request line and headers
HEADERS_S = 20.0  # maximum seconds to receive them


class Protocol(HttpToolsProtocol):
    """Uvicorn's HTTP protocol with limits on headers, which its parser lacks."""

    headers_s = HEADERS_S

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._header_bytes = 0
        self._header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        if self._header_timer is not None:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._header_timer is not None and self._header_bytes > HEADERS:
            self._refuse(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        # not earlier: data after an early response may be the rest of the refused body
        super().on_message_begin()
        if self._header_timer is None:
            self._wait_for_headers()

    def on_headers_complete(self) -> None:
        self._headers_came()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_came()
        super().connection_lost(exc)

    def _wait_for_headers(self) -> None:
        self._header_bytes = 0
        self._header_timer = self.loop.call_later(self.headers_s, self._refuse, b"408 Request Timeout")

    def _headers_came(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _refuse(self, status: bytes) -> None:
        self._headers_came()
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 " + status + b"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            self.transport.close()


STARTUP_FAILED = 3  # the exit status that ``uvicorn.run`` gives

SERVER: dict[str, Any] = {
    # httptools needs a third less CPU per event than h11; uvloop would save another tenth, which is not needed
    "http": Protocol, "loop": "asyncio", "access_log": False, "log_config": None, "server_header": False,
    "lifespan": "on", "timeout_keep_alive": KEEP_ALIVE, "timeout_graceful_shutdown": 3,
}  # fmt: skip


class Server(uvicorn.Server):
    """Ends the application's streams when it stops. Uvicorn would wait for them as for any response."""

    def __init__(self, config: uvicorn.Config, closing: Callable[[], None]) -> None:
        super().__init__(config)
        self._closing = closing

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See Uvicorn."""
        self._closing()
        await super().shutdown(sockets)


def serve(app: FastAPI, host: str, port: int) -> None:
    """Serve until stopped by a signal."""
    _run(Server(uvicorn.Config(app, host=host, port=port, **SERVER), app.state.closing))


def serve_when(require: Callable[[], None], app: FastAPI, host: str, port: int) -> None:
    """Listen at once, and serve the application when ``require`` has returned. See ``StartGate``.

    Raises what ``require`` raises, apart from ``Transient``.
    """

    def stop() -> None:
        server.should_exit = True

    gate = StartGate(app, require, stop)
    server = Server(uvicorn.Config(gate, host=host, port=port, **SERVER), app.state.closing)
    _run(server, gate)


def _run(server: Server, gate: StartGate | None = None) -> None:
    with suppress(KeyboardInterrupt):  # as ``uvicorn.run``
        server.run()
    if gate is not None and gate.failure is not None:
        raise gate.failure
    if not server.started:
        sys.exit(STARTUP_FAILED)
