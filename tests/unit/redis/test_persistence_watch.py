"""A damaged append-only file is replaced once Redis can write again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from redis.exceptions import NoPermissionError
from structlog.testing import capture_logs

from workers.redis.persistence import failed_writes
from workers.redis.persistence_watch import AGAIN_S, PersistenceWatch

SOUND = {
    "aof_enabled": 1, "aof_rewrite_in_progress": 0, "aof_last_write_status": "ok", "aof_last_bgrewrite_status": "ok",
    "rdb_last_bgsave_status": "ok",
}  # fmt: skip


@dataclass
class Server:
    """Tells its state, and counts the rewrites that it is asked for."""

    state: dict[str, Any] = field(default_factory=lambda: dict(SOUND))
    asked: int = 0
    refuses: bool = False
    now: float = 0.0

    def info(self, section: str) -> dict[str, Any]:
        assert section == "persistence"
        return self.state

    def bgrewriteaof(self) -> None:
        if self.refuses:
            raise NoPermissionError("no permissions to run the 'bgrewriteaof' command")
        self.asked += 1

    def watched(self) -> PersistenceWatch:
        return PersistenceWatch([self], lambda: self.now)  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("aof_last_write_status", "cannot write its append-only file"),
        ("aof_last_bgrewrite_status", "could not rewrite its append-only file"),
        ("rdb_last_bgsave_status", "could not write its last snapshot"),
    ],
)
def test_each_file_that_could_not_be_written_is_named(name: str, said: str) -> None:
    assert list(failed_writes(SOUND)) == list(failed_writes({})) == []
    (one,) = failed_writes({**SOUND, name: "err"})
    assert said in one


def test_a_rewrite_is_asked_for_once_writing_works_again_and_until_it_succeeds() -> None:
    server = Server()
    watch = server.watched()
    watch.step()
    server.state["aof_last_write_status"] = "err"
    with capture_logs() as lines:
        watch.step()
        watch.step()
    assert [line["event"] for line in lines] == ["redis cannot write to its disk"]
    assert server.asked == 0
    server.state["aof_last_write_status"] = "ok"
    watch.step()
    assert server.asked == 1
    server.state |= {"aof_rewrite_in_progress": 1}
    watch.step()
    server.state |= {"aof_rewrite_in_progress": 0, "aof_last_bgrewrite_status": "err"}
    watch.step()
    assert server.asked == 1
    server.now += AGAIN_S
    watch.step()
    assert server.asked == 2
    server.state |= {"aof_last_bgrewrite_status": "ok"}
    with capture_logs() as lines:
        watch.step()
        watch.step()
    assert [line["event"] for line in lines] == [
        "redis can write to its disk again", "redis has rewritten its append-only file",
    ]  # fmt: skip
    assert server.asked == 2


def test_a_server_that_was_always_sound_or_has_no_such_file_is_left_alone() -> None:
    server = Server()
    watch = server.watched()
    for status in ("ok", "err", "ok"):
        server.state |= {"aof_enabled": 0, "aof_last_write_status": status}
        watch.step()
    assert server.asked == 0


def test_a_server_that_refuses_it_is_named_once() -> None:
    server = Server(refuses=True)
    watch = server.watched()
    for status in ("err", "ok", "ok", "ok"):
        server.state["aof_last_write_status"] = status
        with capture_logs() as lines:
            watch.step()
        server.now += AGAIN_S
        assert any("BGREWRITEAOF" in line["event"] for line in lines) == (server.now == 2 * AGAIN_S)
