"""Runs the gateway with uvicorn: one process with one event loop."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, cast

import structlog
import uvicorn
from fastapi import FastAPI, Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from workers.gateway import security_headers
from workers.gateway.problems import Problem
from workers.gateway.start_gate import StartGate

log = structlog.get_logger()

# seconds; Go clients keep idle connections for 90: closing earlier could hit a request in transit
KEEP_ALIVE = 120
HEADERS = 2**16  # maximum bytes of the request line and headers
URL = 2**14  # maximum bytes of a URL; a key has 1,024 bytes at most, three times as many when they are escaped
HEADERS_S = 20.0  # maximum seconds to receive them
DRAIN_S = 20.0  # maximum seconds to receive the rest of a body after an early response


class Protocol(HttpToolsProtocol):
    """Uvicorn's HTTP protocol with limits on headers, which its parser lacks, and on bodies that nobody reads."""

    headers_s = HEADERS_S
    drain_s = DRAIN_S

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._received = 0  # bytes since the headers of this message began
        self._header_bytes = 0  # of this message, as parsed
        self._header_timer: asyncio.TimerHandle | None = None
        self._drain_timer: asyncio.TimerHandle | None = None
        self._whole = True  # whether the last message has ended
        self._refused = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._header_timer is not None:
            self._received += len(data)
        super().data_received(data)
        # a value that is still incomplete is not parsed yet
        if self._header_timer is not None and self._received > HEADERS:
            self._refuse(_HEADERS_TOO_LARGE)

    def on_message_begin(self) -> None:
        # not earlier: data after an early response may be the rest of the refused body
        super().on_message_begin()
        self._header_bytes = 0
        self._whole = False
        if self._header_timer is None:
            self._wait_for_headers()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > URL:
            self._refuse(_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value) + 4
        if self._header_bytes + len(self.url) > HEADERS:
            self._refuse(_HEADERS_TOO_LARGE)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._headers_came()
        if not self._refused:
            super().on_headers_complete()
            if self.cycle is not None and not self.cycle.keep_alive:
                self.cycle.transport = cast("asyncio.Transport", _Closing(self))

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._whole = True
        if self._refused:
            return
        super().on_message_complete()
        if self._drain_timer is not None and self.cycle.response_complete:  # the rest of a refused body has come
            self._stop_draining()
            if not self.cycle.keep_alive:
                self.transport.close()
                return
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._whole and self._drain_timer is None:
            self._drain_timer = self.loop.call_later(self.drain_s, self._give_up_draining)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, which Uvicorn would answer without a problem document and without headers."""
        self._refuse(Problem("bad-request", msg))

    def close_after_response(self) -> None:
        """Close the connection, but after an early response only once the rest of the body has come.

        If it is closed while the client sends, the client's system drops the response, and nginx answers 502 instead.
        """
        if self._whole or self.pipeline or self.cycle is None or not self.cycle.response_complete:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_came()
        self._stop_draining()
        super().connection_lost(exc)

    def _give_up_draining(self) -> None:
        self._drain_timer = None
        if not self._whole and (self.cycle is None or self.cycle.response_complete):
            self.transport.close()

    def _stop_draining(self) -> None:
        if self._drain_timer is not None:
            self._drain_timer.cancel()
            self._drain_timer = None

    def _wait_for_headers(self) -> None:
        self._received = 0
        self._header_timer = self.loop.call_later(self.headers_s, self._refuse, _TIMEOUT)

    def _headers_came(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _refuse(self, problem: Problem) -> None:
        self._headers_came()
        if not self._refused and not self.transport.is_closing():
            # it has no id and no path, since its headers could not be read
            client = (self.client or ("",))[0]
            log.info("request refused", status=problem.status, reason=problem.detail, client=client)
            self.transport.write(_bytes_of(problem.response()))
            self.transport.close()
        self._refused = True


class _Closing:
    """What a response is written to after which the connection is closed: as a proxy asks that keeps none open."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        self._protocol.transport.write(data)

    def is_closing(self) -> bool:
        return self._protocol.transport.is_closing()

    def close(self) -> None:
        self._protocol.close_after_response()


_TIMEOUT = Problem("timeout", f"the headers took longer than {HEADERS_S:g} s")
_TOO_LONG = Problem("uri-too-long", f"the URL has more than {URL:,} bytes")
_HEADERS_TOO_LARGE = Problem("headers-too-large", f"the headers have more than {HEADERS:,} bytes")


def _bytes_of(response: Response) -> bytes:
    """A response as it is sent, which closes the connection."""
    status = HTTPStatus(response.status_code)
    security_headers.add(response.headers)
    head = [f"HTTP/1.1 {status.value} {status.phrase}".encode(), b"connection: close"]
    head += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + bytes(response.body)


STARTUP_FAILED = 3  # the exit status that ``uvicorn.run`` gives

SERVER: dict[str, Any] = {
    # httptools needs a third less CPU per event than h11; uvloop would save another tenth, which is not needed
    "http": Protocol, "loop": "asyncio", "access_log": False, "log_config": None, "server_header": False,
    "lifespan": "on", "timeout_keep_alive": KEEP_ALIVE, "timeout_graceful_shutdown": 3,
    "proxy_headers": False,  # Uvicorn believes any process of this machine; see ``workers.gateway.behind_proxy``
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
