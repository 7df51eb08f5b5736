"""A redis-server that a test may kill and start again."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import redis

from tests.eventually import eventually
from workers.redis.connection import Client, connect
from workers.redis.server_program import choose_server


class OwnRedis:
    """Append-only and synced at every write, so that what it has answered survives its being killed."""

    def __init__(self, port: int = 0) -> None:
        """``port``: of 127.0.0.1, beside the socket; 0 for none."""
        self.port = port
        self._folder = Path(tempfile.mkdtemp(prefix="wt-", dir="/tmp"))  # a socket's path must be short
        self._socket = self._folder / "redis.sock"
        self._server: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    def start(self) -> Client:
        """Start it, wait until it answers, give a client."""
        self._server = subprocess.Popen(
            [choose_server().program.path, "--port", str(self.port), "--unixsocket", self._socket,
             "--dir", self._folder,
             "--save", "", "--appendonly", "yes", "--appendfsync", "always"],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        client = connect(self.url)
        eventually(client.ping, 20, every_s=0.02, despite=(redis.ConnectionError,))
        return client

    def kill(self) -> None:
        """End it without a farewell."""
        if self._server is not None:
            self._server.kill()
            self._server.wait(10)
            self._server = None

    def suspend(self) -> None:
        """It takes connections and answers nothing, until ``resume``."""
        if self._server is not None:
            self._server.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It answers again."""
        if self._server is not None:
            self._server.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it and forget what it held."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
