"""A TCP proxy that makes trouble, with the kinds of Toxiproxy: connections are reset, swallowed, late or slow.

It listens on the loopback interface and forwards to one address. A kind holds for all connections until it is
changed.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import Enum

_PIECE = 16 * 1024
_SLOW_BYTES_S = 2_000  # enough that small answers arrive, and large ones take seconds
_LATE_S = 0.4


class Toxic(Enum):
    """What is done to connections. ``RESET`` ends those that are open, and refuses others."""

    NONE = "none"
    RESET = "reset"
    BLACKHOLE = "blackhole"
    LATE = "late"
    SLOW = "slow"


class Proxy:
    """Forwards connections to ``port`` of this machine in a thread of its own, until ``close``."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._toxic = Toxic.NONE
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        ready = threading.Event()
        self.port = 0
        self._thread = threading.Thread(target=self._run, args=(ready,), name="chaos proxy", daemon=True)
        self._thread.start()
        ready.wait(10)

    def set(self, toxic: Toxic) -> None:
        """Let this happen to all connections from now on. Those that were swallowed are reset when that ends."""
        ended = self._toxic is Toxic.BLACKHOLE and toxic is not Toxic.BLACKHOLE
        self._toxic = toxic
        if toxic is Toxic.RESET or ended:
            self._call(self._reset)

    def forward_to(self, port: int) -> None:
        """Forward to this port from now on, and end the connections to the one before."""
        self._upstream = port
        self._call(self._reset)

    def close(self) -> None:
        """End it and its connections."""
        if self._thread.is_alive():
            self._call(self._reset)
            self._call(self._ended.set)
            self._thread.join(10)

    def _call(self, what: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(what)

    def _run(self, ready: threading.Event) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(ready))  # which cancels at last what is still open

    async def _serve(self, ready: threading.Event) -> None:
        server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._ended.wait()
        server.close()

    def _reset(self) -> None:
        for writer in list(self._open):
            _abort(writer)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):  # at the end, when asyncio would print one trace for each connection
            await self._connect(reader, writer)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._toxic is Toxic.RESET:
            _abort(writer)
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            _abort(writer)
            return
        both = {writer, back}
        self._open |= both
        try:
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        finally:
            self._open -= both
            for one in both:
                one.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_PIECE):
                while self._toxic is Toxic.BLACKHOLE:
                    await asyncio.sleep(0.05)
                    if writer.is_closing():
                        return
                if self._toxic is Toxic.LATE:
                    await asyncio.sleep(_LATE_S)
                elif self._toxic is Toxic.SLOW:
                    await asyncio.sleep(len(data) / _SLOW_BYTES_S)
                writer.write(data)
                await writer.drain()
        with suppress(OSError):
            writer.close()


def _abort(writer: asyncio.StreamWriter) -> None:
    """Close with a reset, as a firewall or a crashed host does, not with an orderly end."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
