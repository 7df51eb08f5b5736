"""A Redis server of a run, and waiting for it."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis

from vectordb.errors import Permanent
from workers.embedded.aof_repair import repair
from workers.embedded.ports import free_port
from workers.redis.server_program import choose_server

_LOOK_S = 0.1
_CONF = """\
bind 127.0.0.1
port {port}
dir {folder}
dbfilename dump.rdb
appendonly yes
appendfsync everysec
aof-load-truncated yes
save ""
maxmemory 512mb
maxmemory-policy noeviction
zset-max-listpack-entries 1024
repl-diskless-sync-delay 0
"""


class RedisProcess:
    """A Redis server that can be ended and started again with its data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port(0)
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "redis.conf").write_text(_CONF.format(port=self.port, folder=folder))

    @property
    def client(self) -> Any:
        """A client that does not go through the proxy."""
        return redis.Redis(port=self.port, socket_timeout=10)

    def start(self) -> None:
        """Start it and wait until it has loaded its data."""
        repair(self.folder)  # as `wildtag up` does: a full disk leaves zeros in the file of Redis 7.0
        with (self.folder / "log").open("ab") as log:
            command = [str(choose_server().program.path), str(self.folder / "redis.conf")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        until(self.client.ping, 60, "Redis does not start", (redis.RedisError,))

    def end(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal and wait for its end."""
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:  # it is stopped, or cannot write its file
                self._process.kill()
                self._process.wait(10)

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None  # noqa: S101 -- it is started first
        return self._process.pid


def until(
    done: Callable[[], object], patience_s: float, said: str | Callable[[], str],
    despite: tuple[type[BaseException], ...] = (), beyond: Callable[[], bool] = lambda: True,
) -> float:  # fmt: skip
    """Wait until ``done`` is true. Returns the seconds that it took. Raises ``Permanent`` with ``said`` after
    ``patience_s``, or when ``beyond`` is no longer true.
    """
    began = time.monotonic()
    while True:
        with suppress(*despite):
            if done():
                return time.monotonic() - began
        if time.monotonic() - began > patience_s or not beyond():
            raise Permanent(said if isinstance(said, str) else said())
        time.sleep(_LOOK_S)
