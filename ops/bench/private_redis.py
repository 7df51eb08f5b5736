"""A Redis for one benchmark, configured as in the embedded stack: append-only file, synced every second."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from ops.bench.processes import end
from vectordb.errors import Permanent
from workers.redis.server_program import choose_server


@contextmanager
def private_redis(folder: Path) -> Iterator[tuple[redis.Redis, str]]:
    """A client and the URL of a Redis on a socket in this folder, whose path must be short."""
    path = folder / "redis.sock"
    server = subprocess.Popen(
        [choose_server().program.path, "--port", "0", "--unixsocket", path, "--dir", folder, "--save", "",
         "--appendonly", "yes", "--appendfsync", "everysec", "--zset-max-listpack-entries", "1024"],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    client = redis.Redis(unix_socket_path=str(path))
    try:
        wait_until(client.ping)
        yield client, f"unix://{path}"
    finally:
        server.terminate()
        end(server, 10)


def wait_until(ready: Callable[[], object]) -> None:
    """Wait for a server that was started. Raises ``Permanent`` after half a minute."""
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError, redis.ConnectionError):
            if ready():
                return
        if time.monotonic() > deadline:
            raise Permanent("the server did not start within 30 s")
        time.sleep(0.05)
