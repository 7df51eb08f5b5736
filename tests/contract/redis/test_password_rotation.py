"""The Redis of Docker Compose, as its command starts it: nobody is locked out while its password is replaced."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from tests.eventually import eventually
from tests.unit.compose_file import SERVICES
from workers.embedded.ports import free_port
from workers.redis.server_program import choose_server

OLD, NEW = "a" * 12, "b" * 12


def script(folder: Path, port: int) -> str:
    """The command of the service, with paths and addresses of this test."""
    text: str = SERVICES["redis"]["command"][-1].replace("$$", "$")
    for documented, here in {
        "/run/redis/": f"{folder}/", "dir /data": f"dir {folder}", "bind * -::*": f"bind 127.0.0.1\nport {port}",
        "exec redis-server": f"exec {choose_server().program.path}",
    }.items():  # fmt: skip
        assert documented in text, documented
        text = text.replace(documented, here)
    return text


@contextmanager
def served(folder: Path, port: int, **passwords: str) -> Iterator[None]:
    """The service with these variables."""
    environment = {"PATH": "/usr/bin:/bin", "REDIS_MAXMEMORY": "64mb", "REDIS_PASSWORD_PREVIOUS": "", **passwords}
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(["sh", "-euc", script(folder, port)], env=environment, stdout=out, stderr=out)
    try:
        mine = client(port, passwords["REDIS_PASSWORD"])
        eventually(mine.ping, 20, log.read_text, despite=(redis.RedisError,))
        yield
    finally:
        process.terminate()
        process.wait(20)


def client(port: int, password: str) -> redis.Redis:
    return redis.Redis(port=port, password=password)


def administered(running: redis.Redis, rule: str) -> None:
    """Change the default user. redis-py's own function switches a user off unless it is told otherwise."""
    running.execute_command("ACL", "SETUSER", "default", rule)  # type: ignore[no-untyped-call]  # it has no types


def test_old_and_new_password_are_accepted_while_processes_get_the_new_one(tmp_path: Path) -> None:
    port = free_port(0)
    with served(tmp_path, port, REDIS_PASSWORD=OLD):
        running = client(port, OLD)
        running.set("kept", 1)
        with pytest.raises(redis.AuthenticationError):
            client(port, NEW).ping()
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port).ping()
    with served(tmp_path, port, REDIS_PASSWORD=NEW, REDIS_PASSWORD_PREVIOUS=OLD):
        assert running.get("kept") == b"1"  # connects again with the password that it was started with
        assert client(port, NEW).get("kept") == b"1"
    with served(tmp_path, port, REDIS_PASSWORD=NEW):
        assert client(port, NEW).get("kept") == b"1"
        with pytest.raises(redis.AuthenticationError):
            client(port, OLD).ping()


def test_a_running_server_takes_a_second_password(tmp_path: Path) -> None:
    port = free_port(0)
    with served(tmp_path, port, REDIS_PASSWORD=OLD):
        running = client(port, OLD)
        administered(running, f">{NEW}")
        assert client(port, OLD).ping()
        assert client(port, NEW).ping()
        administered(running, f"<{OLD}")
        assert running.ping()  # a connection stays
        with pytest.raises(redis.AuthenticationError):
            client(port, OLD).ping()


@pytest.mark.parametrize("name", ["REDIS_PASSWORD", "REDIS_PASSWORD_PREVIOUS"])
def test_a_password_that_cannot_be_in_a_url_is_refused(tmp_path: Path, name: str) -> None:
    environment = {"PATH": "/usr/bin:/bin", "REDIS_PASSWORD": OLD, "REDIS_PASSWORD_PREVIOUS": "", name: "a b"}
    done = subprocess.run(
        ["sh", "-euc", script(tmp_path, 1)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "letters, digits" in done.stderr
