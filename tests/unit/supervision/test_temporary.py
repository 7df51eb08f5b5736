"""Temporary folders and lock files end with their process, also with one that is killed."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.eventually import eventually
from vectordb.leftovers import LEFT_AFTER_S
from workers.redis.server_paths import socket_folder
from workers.supervision.temporary import OWNER, claim, prefix, remove_abandoned, temporary_folder

HOLDING = """
import os, signal, sys
from workers.supervision.temporary import claim, temporary_folder
folder = lambda: temporary_folder("worker")
if sys.argv[1] == "killed":  # a worker; it takes a second
    from billiard.util import get_temp_dir  # of its pool
    from celery import Celery
    from workers.processes.crashes import watched
    from workers.settings.settings import Settings
    folder = lambda: watched(Celery(), Settings()) and get_temp_dir()
print(temporary_folder("metrics"), folder(), claim("port-4711"), flush=True)
if sys.argv[1] == "child" and not os.fork():
    sys.exit()  # they are not those of a child to remove
if sys.argv[1] == "child":
    os.wait()
    signal.pause()
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""
PORT = f"wildtag-{os.getuid()}-port-4711.lock"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return tmp_path


@contextmanager
def holding(how: str, temporary: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has one of each. Its end is awaited."""
    with subprocess.Popen(
        [sys.executable, "-P", "-c", HOLDING, how], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            if how == "child":
                process.kill()


def made(process: subprocess.Popen[str], temporary: Path) -> list[Path]:
    """What it has made."""
    assert process.stdout is not None
    metrics, crashes, claimed = process.stdout.readline().split()
    assert claimed == "True"
    return [Path(metrics), Path(crashes), temporary / PORT]


def test_what_a_process_has_made_is_removed_with_it_or_by_the_next(temporary: Path) -> None:
    of_another = temporary / f"{prefix('metrics')}of-somebody-else"
    of_another.mkdir()
    with holding("ends", temporary) as ends:
        ended = made(ends, temporary)
    assert not any(path.exists() for path in ended)
    with holding("killed", temporary) as killed:
        abandoned = made(killed, temporary)
    assert not list(temporary.glob("pymp-*"))
    assert all(path.exists() for path in abandoned)
    with holding("child", temporary) as lives:
        of_the_living = made(lives, temporary)
        own = temporary_folder("worker")
        assert not any(path.exists() for path in abandoned[:2])
        assert all(path.exists() for path in of_the_living)
        assert not claim("port-4711")
        assert own.stat().st_mode & 0o777 == 0o700
    eventually(lambda: claim("port-4711"), 30)  # its holder was killed, and its child ends
    assert not claim("port-4711")
    remove_abandoned()
    assert own.exists()
    assert (temporary / PORT).exists()
    assert of_another.exists()
    assert not any(path.exists() for path in of_the_living[:2])


def test_folders_of_people_stay(temporary: Path) -> None:
    shared, named = temporary / "wildtag-photos-holidays", temporary / "wildtag-photos-of-2024"
    for folder in (shared, named):
        folder.mkdir(mode=0o755 if folder is shared else 0o700)
        (folder / OWNER).touch()
    private = temporary / "wildtag-photos-birthday"
    private.mkdir(mode=0o700)
    (private / OWNER).write_text("me")
    hidden = temporary / ".wildtag-photos-birthday"
    hidden.mkdir()
    (hidden / "a.jpg").touch()
    for old in (hidden / "a.jpg", hidden):
        os.utime(old, (0, 0))
    remove_abandoned()
    assert all(folder.exists() for folder in (shared, named, private, hidden / "a.jpg"))


def test_who_only_looks_at_a_lock_keeps_nobody_out(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looking = os.open(temporary / PORT, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(looking, fcntl.LOCK_EX)

    def looked(seconds: float) -> None:
        if seconds:
            fcntl.flock(looking, fcntl.LOCK_UN)

    monkeypatch.setattr("workers.supervision.temporary.time.sleep", looked)
    assert claim("port-4711")
    os.close(looking)


def test_a_folder_that_was_never_locked_is_removed_after_a_day(temporary: Path) -> None:
    new, old = temporary / ".wildtag-worker-new", temporary / ".wildtag-worker-old"
    for folder in (new, old):
        folder.mkdir()
        (folder / OWNER).touch()
    os.utime(old, (0, 0))
    remove_abandoned()
    assert new.exists()
    assert not old.exists()


def test_the_folder_of_a_socket_without_a_server_is_removed_after_a_day() -> None:
    with tempfile.TemporaryDirectory(prefix="wt-", dir="/tmp") as short:  # the path of a socket may have 100 bytes
        _leave_sockets(Path(short))


def _leave_sockets(short: Path) -> None:
    homes, here = [short / (name * 120) for name in "abcd"], [short]
    serving, dead, young = folders = [socket_folder(home, others=here) for home in homes[:3]]
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(serving / "redis.sock"))
    server.listen()
    with socket.socket(socket.AF_UNIX) as ended:
        ended.bind(str(dead / "redis.sock"))
    for folder in (serving, dead):
        past = folder.stat().st_mtime - LEFT_AFTER_S - 1
        os.utime(folder, (past, past))
    mine = socket_folder(homes[3], others=here)
    with server:
        assert [folder.exists() for folder in [*folders, mine]] == [True, False, True, True]
        assert len({*folders, mine}) == 4
        assert young.is_dir()
