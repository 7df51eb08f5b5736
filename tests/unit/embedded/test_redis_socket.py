"""The server finds the folder of its socket when it is started again, also if another start has removed it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from workers.embedded import redis_server


def test_the_folder_of_the_socket_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="wt-", dir="/tmp") as short:  # the path of a socket may have 100 bytes
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        home = tmp_path / ("x" * 120)
        home.mkdir()
        server = redis_server.PrivateRedis(home)
        assert server.socket.parent.parent == Path(short)
        server.socket.parent.rmdir()
        server.service().prepare()
        assert server.socket.parent.is_dir()
