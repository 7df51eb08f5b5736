"""The private Redis, run for real under the supervisor: each program that could be taken, and all who talk to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import kombu
import pytest
import redis
from flower.utils.broker import Broker  # type: ignore[import-untyped]  # has no annotations
from redis.backoff import NoBackoff
from redis.retry import Retry

from workers.embedded.redis_server import PrivateRedis
from workers.redis.server_program import RedisMissing, ServerProgram, choose_server
from workers.supervision.supervisor import State, Supervisor, read_stack


def programs() -> Iterator[ServerProgram]:
    """The one on the PATH, where there is one, and the packaged one."""
    with contextlib.suppress(RedisMissing):
        yield choose_server(packages=()).program
    yield choose_server(path="").program


@pytest.fixture(params=programs(), ids=lambda program: program.source)
def program(request: pytest.FixtureRequest) -> ServerProgram:
    found: ServerProgram = request.param
    return found


def test_celerys_transport_and_flower_reach_it_over_its_socket(tmp_path: Path, program: ServerProgram) -> None:
    with Supervisor(tmp_path) as stack:
        private = PrivateRedis(tmp_path, program)
        stack.start([private.service()])
        with kombu.Connection(private.broker_url) as connection, connection.SimpleQueue("embedding") as queue:
            queue.put({"n": 1}, serializer="json")
            assert asyncio.run(Broker(private.broker_url).queues(["embedding"])) == [
                {"name": "embedding", "messages": 1}
            ]
            message = queue.get(timeout=5)
            assert message.payload == {"n": 1}
            message.ack()


def test_nobody_gets_in_without_the_password(tmp_path: Path, program: ServerProgram) -> None:
    with Supervisor(tmp_path) as stack:
        private = PrivateRedis(tmp_path, program)
        stack.start([private.service()])
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(unix_socket_path=str(private.socket), retry=Retry(NoBackoff(), 0)).ping()
        assert private.socket.stat().st_mode & 0o777 == 0o700


def test_what_was_written_survives_a_kill_and_a_torn_file(tmp_path: Path, program: ServerProgram) -> None:
    with Supervisor(tmp_path) as stack:
        private = PrivateRedis(tmp_path, program)
        stack.start([private.service()], {})
        client = private.client()
        client.set("kept", "yes")
        info = read_stack(tmp_path)
        assert info is not None
        os.kill(info.pids["redis"], signal.SIGKILL)
        assert stack.run(until=lambda: stack.states()["redis"] is not State.UP)
        assert stack.run(until=lambda: stack.states()["redis"] is State.UP)
        assert client.get("kept") == b"yes"
    newest = max((file for file in private.folder.rglob("appendonly.aof*") if file.is_file() and "manifest" not in
                  file.name), key=lambda file: file.stat().st_mtime)  # fmt: skip
    with newest.open("ab") as out:
        out.write(b"*3\r\n$3\r\nSET\r\n$4\r\nha")  # as a power cut would leave it
    with Supervisor(tmp_path) as stack:
        again = PrivateRedis(tmp_path, program)
        stack.start([again.service()])
        assert again.client().get("kept") == b"yes"


def test_it_evicts_nothing_and_keeps_everything(tmp_path: Path, program: ServerProgram) -> None:
    with Supervisor(tmp_path / "ünusual home") as stack:
        private = PrivateRedis(tmp_path / "ünusual home", program)
        stack.start([private.service()])
        client = private.client()
        for setting, value in {"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "everysec",
                               "save": "", "port": "0"}.items():  # fmt: skip
            assert client.config_get(setting) == {setting: value}
    private.socket.parent.rmdir()  # a short one was made for it, outside the home
