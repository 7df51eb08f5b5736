"""What the configuration of the private server says, and where its socket is."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from vectordb.errors import Permanent
from workers.embedded.redis_server import PrivateRedis
from workers.redis.server_paths import socket_folder
from workers.redis.server_program import ServerProgram, ServerVersion

SERVER = ServerProgram(Path("/usr/bin/redis-server"), ServerVersion("redis", (7, 0, 15)), "PATH")


def test_only_its_owner_can_reach_it(tmp_path: Path) -> None:
    private = PrivateRedis(tmp_path, SERVER)
    settings = private.configuration.read_text().splitlines()
    assert private.configuration.stat().st_mode & 0o777 == 0o600
    assert private.socket.parent.stat().st_mode & 0o777 == 0o700
    for setting in ("port 0", "unixsocketperm 700", "appendonly yes", "maxmemory-policy noeviction", 'save ""'):
        assert setting in settings
    assert not any(line.startswith("maxmemory ") for line in settings), "a home whose data has grown must start"
    password = urlsplit(private.url).password
    assert password
    assert f"requirepass {password}" in settings
    assert password not in " ".join(private.service().command)
    assert password not in repr(private)


def test_its_file_is_looked_at_before_each_start(tmp_path: Path) -> None:
    private = PrivateRedis(tmp_path, SERVER)
    parts = private.folder / "appendonlydir"
    parts.mkdir()
    (parts / "appendonly.aof.manifest").write_text("file appendonly.aof.1.incr.aof seq 1 type i\n")
    for _ in range(2):
        (parts / "appendonly.aof.1.incr.aof").write_bytes(b"*1\r\n$4\r\nPING\r\n" + b"\0" * 9)
        private.service().prepare()
        assert (parts / "appendonly.aof.1.incr.aof").read_bytes() == b"*1\r\n$4\r\nPING\r\n"


def test_the_password_stays_the_same(tmp_path: Path) -> None:
    first = PrivateRedis(tmp_path, SERVER)
    assert PrivateRedis(tmp_path, SERVER).url == first.url
    assert PrivateRedis(tmp_path / "other", SERVER).url != first.url


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
