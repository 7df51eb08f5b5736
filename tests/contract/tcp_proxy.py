"""A way to a server that a test may close, and open again on the same port."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Literal

Mode = Literal["open", "refusing", "silent"]


class TcpProxy:
    """``refusing``: connections are reset at once, as when the server is killed. ``silent``: they are taken, and
    nothing passes any more, as when a machine hangs; what was open then stays so.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self.mode: Mode = "open"
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._held: list[socket.socket] = []
        self._forgotten: set[socket.socket] = set()
        self._passing = threading.Event()
        self._passing.set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def become(self, mode: Mode) -> None:
        """From now on. When it opens again, what was silent is broken off: nobody knows it any more."""
        before, self.mode = self.mode, mode
        if mode == "silent":
            self._passing.clear()
            return
        if mode == "refusing" or before == "silent":
            for pair in list(self._pairs):
                for end in pair:
                    _break(end)
            self._pairs.clear()
            for end in self._held:
                _break(end)
            self._held.clear()
        self._passing.set()

    def forget(self) -> None:
        """What is open now leads nowhere from now on, as when a router forgot it. New connections pass."""
        self._forgotten |= {end for pair in self._pairs for end in pair}
        self._pairs.clear()

    def close(self) -> None:
        """End it."""
        self.become("refusing")
        for end in self._forgotten:
            _break(end)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.mode == "refusing":
                _break(near)
            elif self.mode == "silent":
                self._held.append(near)
            else:
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._target)
        except OSError:
            _break(near)
            return
        self._pairs.add((near, far))
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                self._passing.wait()
                if source not in self._forgotten:
                    sink.sendall(data)
            if source in self._forgotten:
                return
            sink.shutdown(socket.SHUT_WR)


def _break(end: socket.socket) -> None:
    with suppress(OSError):
        # no lingering: the other side gets a reset at once, as from a machine that does not know the connection
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        end.shutdown(socket.SHUT_RDWR)
    end.close()
