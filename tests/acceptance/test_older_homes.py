"""Homes that another server or an older wildtag wrote.

Kept files stand for the other servers, and keys under their literal old names for the older wildtag.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.images import drop, photograph
from tests.acceptance.stack import Stack
from tests.acceptance.test_private_redis import programs
from tests.contract import old_home
from tests.eventually import eventually
from workers.embedded.redis_server import PrivateRedis
from workers.redis.layout import VERSION
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


@pytest.mark.long
def test_a_home_of_an_older_wildtag_is_refused_until_it_is_migrated(make_stack: Callable[..., Stack]) -> None:
    """``wildtag up`` and every process of its own; then the stack starts with all that the home holds."""
    stack, prefix = make_stack(), "wildtag:"
    with Supervisor(stack.home) as supervisor:
        private = PrivateRedis(stack.home)
        supervisor.start([private.service()])
        old_home.fill(private.client(), prefix, at=1_700_000_000.0)
        private.client().delete(*(f"{prefix}{name}" for name in old_home.CELERY))  # they stand for messages, only
        before = old_home.content(private.client(), prefix)
    up = stack.wildtag("up", check=False)
    assert up.returncode == 1
    (said,) = [line for line in up.stderr.splitlines() if line.startswith("wildtag:")]
    assert said == (
        f"wildtag: the Redis keys under {prefix!r} have layout version 0, and this wildtag needs version {VERSION}: "
        "stop what uses them and run `wildtag migrate`"
    )
    planned = json.loads(stack.wildtag("migrate", "--dry-run", "--json").stdout)
    migrated = json.loads(stack.wildtag("migrate", "--json").stdout)
    assert (planned["from"], planned["to"]) == (migrated["from"], migrated["to"]) == (0, VERSION)
    with Supervisor(stack.home) as supervisor:
        supervisor.start([private.service()])
        old_home.verify(private.client(), prefix, before)
    stack.start()
    assert json.loads(stack.wildtag("events", "counts", "--json").stdout)["webhook:rejected"] == 3
    running = stack.wildtag("migrate", check=False)
    assert running.returncode == 1
    assert "a stack is running" in running.stderr
    assert stack.stop() < 10


@pytest.mark.long
def test_the_first_sweep_after_an_upgrade_tags_nothing_and_tells_nobody(make_stack: Callable[..., Stack]) -> None:
    """A home of 0.1.0, whose ETags have the inode: records get the new ETag. A file that was changed is tagged."""
    stack, prefix = make_stack(WILDTAG_RESCAN_S="3600"), "wildtag:"
    for key in ("a.png", "album/b é.png", "album/1960.png", "changed.png"):
        drop(stack.inbox, key, photograph("chelsea.png") + key.encode())
    os.utime(stack.inbox / "album/1960.png", ns=(-300_000_000_123_456_789,) * 2)
    files = {str(file.relative_to(stack.inbox)): file.stat() for file in stack.inbox.rglob("*.png")}
    with Supervisor(stack.home) as supervisor:
        private = PrivateRedis(stack.home)
        supervisor.start([private.service()])
        old_home.fill_tagged(private.client(), prefix, files)
        before = private.client().xlen(f"{prefix}feed")
    drop(stack.inbox, "changed.png", photograph("coffee.png"))
    stack.wildtag("migrate")
    stack.start()
    records = eventually(
        lambda: known if (known := stack.known())["changed.png"]["space_id"] != "space" else None, 120, stack.said
    )
    assert records is not None
    for key, status in files.items():
        if key != "changed.png":
            assert records[key]["etag"] == f"{status.st_mtime_ns:x}-{status.st_size:x}"
            assert records[key]["captions_version"] == "c@1"
    told = stack._records().feed_page("0-0", 100)
    assert [item.oid for item in told[before:]] == ["inbox/changed.png"]
    assert stack.stop() < 10


def test_a_home_without_keys_has_nothing_to_migrate(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home")
    nothing: dict[str, object] = {"from": None, "to": None, "dry_run": False, "steps": []}
    assert json.loads(stack.wildtag("migrate", "--json").stdout) == nothing
    assert not (tmp_path / "home").exists()
