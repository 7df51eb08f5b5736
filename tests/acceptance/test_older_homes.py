"""Homes that another server wrote, opened by the servers that are here; kept files stand for the other servers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.acceptance.test_private_redis import programs
from workers.embedded.redis_server import PrivateRedis
from workers.redis.server_paths import data_folder
from workers.redis.server_program import ServerProgram, choose_server, writers
from workers.supervision.supervisor import Supervisor

KEPT = Path(__file__).parents[1] / "data" / "append-only"


def pairs() -> list[tuple[str, ServerProgram]]:
    """Each kept folder with each server here that can read it."""
    return [
        (kept.name, program)
        for kept in sorted(KEPT.iterdir()) if kept.is_dir()
        for program in programs() if all(map(program.version.reads, writers(kept)))
    ]  # fmt: skip


@pytest.mark.parametrize(("kept", "program"), pairs(), ids=lambda value: getattr(value, "source", value))
def test_everything_in_it_is_there(tmp_path: Path, kept: str, program: ServerProgram) -> None:
    """Values, and what a group had read and not acknowledged; still there for the same server after a restart."""
    shutil.copytree(KEPT / kept, data_folder(tmp_path))
    for _ in range(2):
        with Supervisor(tmp_path) as stack:
            private = PrivateRedis(tmp_path, program)
            stack.start([private.service()])
            client = private.client()
            assert client.get("kept") == b"yes"
            assert client.hgetall("h") == {b"f": b"v", b"zz": b"2"}
            assert client.zrange("z", 0, -1) == [b"a"]
            assert client.xpending("st", "g")["pending"] == 1
    assert program.version in writers(data_folder(tmp_path))


def test_the_packaged_server_opens_homes_of_redis_6_and_7() -> None:
    packaged = choose_server(path="").program
    for kept in ("redis-6.2.14", "redis-7.0.15"):
        assert choose_server(KEPT / kept, path="").program == packaged
    assert {kept for kept, program in pairs() if program == packaged} >= {"redis-6.2.14", "redis-7.0.15"}
