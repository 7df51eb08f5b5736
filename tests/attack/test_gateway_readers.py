"""Clients that ask for much and read nothing: they take no memory, and lose their places."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.attack.gateway_process import answered, attacked
from tests.contract.gateway.running import Running, received, running, wired
from tests.eventually import eventually
from workers.gateway.guards import Guards
from workers.gateway.originals import AT_ONCE

MEBIBYTE = 2**20
SIZE = 20 * MEBIBYTE
PATH = "/v1/objects/inbox/large.jpg:content"


def large_image(folder: Path) -> None:
    (folder / "large.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(SIZE))


def asked(port: int) -> socket.socket:
    """A connection that has asked for the image. Its answer is not read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(30)
    connection.connect(("127.0.0.1", port))
    connection.sendall(f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    return connection


def test_originals_that_nobody_reads_take_the_memory_of_few(tmp_path: Path, redis_url: str) -> None:
    with attacked(tmp_path, redis_url) as gateway, ExitStack() as stack:
        large_image(tmp_path / "inbox")
        before = gateway.megabytes
        statuses = [answered(stack.enter_context(asked(gateway.port)), 20) for _ in range(16)]
        assert statuses == [200] * AT_ONCE + [429] * (16 - AT_ONCE)
        assert gateway.megabytes - before < 2 * AT_ONCE * SIZE / MEBIBYTE
        assert httpx.get(f"{gateway.url}/v1/objects", timeout=10).status_code == 200


@pytest.fixture
def impatient(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A gateway that waits half a second for a client that does not read."""
    monkeypatch.setattr(Guards, "stuck_s", 0.5)
    wiring = wired(tmp_path, redis_url)
    wiring.redis.flushall()
    large_image(tmp_path / "inbox")
    with running(wiring) as made:
        yield made


def test_who_reads_nothing_loses_the_place(impatient: Running) -> None:
    with ExitStack() as stack:
        stuck = [stack.enter_context(asked(impatient.port)) for _ in range(AT_ONCE)]
        assert [answered(one, 20) for one in stuck] == [200] * AT_ONCE
        eventually(lambda: impatient.http.get(PATH).status_code == 200)
        assert len(impatient.http.get(PATH).content) == SIZE + 4
        assert all(len(received(one)) < SIZE for one in stuck)
