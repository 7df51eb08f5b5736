"""A gateway in a process of its own, and what an attacker does with it: raw connections, many at once."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.eventually import eventually
from workers.embedded.ports import free_port
from workers.embedded.stack import command
from workers.gateway.api_keys import Scope
from workers.redis.connection import connect
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring

ADMIN = "an-admin-key-of-tests"
Headers = Mapping[str, str]


@dataclass
class Attacked:
    """A running gateway."""

    port: int
    settings: Settings
    process: psutil.Process

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def wiring(self) -> Wiring:
        return Wiring(self.settings)

    @property
    def megabytes(self) -> float:
        """The memory of its process."""
        return float(self.process.memory_info().rss / 2**20)

    def key(self, name: str, scope: Scope = Scope.WRITE) -> dict[str, str]:
        """The headers with a new API key."""
        return {"Authorization": f"Bearer {self.wiring.api_keys.create(name, scope)}"}

    def begin(self, path: str, announced: int, body: bytes = b"", headers: Headers | None = None) -> socket.socket:
        """Begin a POST whose body is not finished."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {announced}\r\n{more}\r\n"
        )
        with suppress(OSError):  # it may hang up
            connection.sendall(head.encode() + body)
        return connection

    @contextmanager
    def unfinished(
        self, count: int, path: str, announced: int, body: bytes, headers: Headers | None = None
    ) -> Iterator[list[int]]:
        """Many such requests at once. Gives the statuses of those that are answered."""
        with ExitStack() as stack:
            open_ = [stack.enter_context(self.begin(path, announced, body, headers)) for _ in range(count)]
            yield [status for one in open_ if (status := answered(one)) is not None]


def answered(connection: socket.socket, patience: float = 0.2) -> int | None:
    """The status that a connection was answered with; ``None`` if it waits for more."""
    connection.settimeout(patience)
    try:
        head = connection.recv(65_536)
    except (TimeoutError, OSError):
        return None
    return int(head.split(b" ", 2)[1]) if head else None


@contextmanager
def attacked(home: Path, redis_url: str, *, waiting: bool = True, **settings: Any) -> Iterator[Attacked]:
    """A gateway over an empty Redis. ``settings``: see ``Settings``. ``waiting``: until it is ready."""
    if waiting:
        connect(redis_url).flushall()
    (home / "inbox").mkdir(exist_ok=True)
    port = free_port(0)
    given = Settings(home=home, redis_url=redis_url, key_prefix="test:", gateway_port=port, **settings)
    started = subprocess.Popen(command("gateway"), env=given.process_environment())
    made = Attacked(port, given, psutil.Process(started.pid))

    def ready() -> bool:
        assert started.poll() is None
        return httpx.get(f"{made.url}/readyz", timeout=5).status_code == 200

    try:
        if waiting:
            eventually(ready, 60, despite=(httpx.HTTPError,))
        yield made
    finally:
        started.terminate()
        started.wait(15)
