"""A process that decodes reaches nothing: tried from inside, with everything that the kernel here can forbid."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from workers.decoding.decoders import Decoders
from workers.decoding.spawner import Spawner, folders, readable

MEMORY = 256 * 2**20
ATTEMPTS = """
import ctypes, json, os, signal, socket, subprocess, sys, threading
from workers.decoding.isolation import AddressSpace, isolate
parent, folder, readable = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
applied = isolate(AddressSpace()() + int(sys.argv[4]), int(sys.argv[4]), readable)
def fork():
    pid = os.fork()
    os._exit(0) if pid == 0 else os.waitpid(pid, 0)
def thread():
    one = threading.Thread(target=int); one.start(); one.join()
def traced():
    if ctypes.CDLL(None, use_errno=True).ptrace(16, parent, 0, 0): raise OSError(ctypes.get_errno(), "")
def io_uring():
    if ctypes.CDLL(None, use_errno=True).syscall(425, 1, bytes(120)) < 0: raise OSError(ctypes.get_errno(), "")
attempts = {
    "write": lambda: open(folder + "/new", "w"),
    "append": lambda: open(folder + "/there", "a"),
    "remove": lambda: os.unlink(folder + "/there"),
    "link": lambda: os.link(folder + "/there", folder + "/other"),
    "folder": lambda: os.mkdir(folder + "/sub"),
    "secret": lambda: open(folder + "/there").read(),
    "environment": lambda: open("/proc/%d/environ" % parent, "rb").read(),
    "tcp": lambda: socket.create_connection(("127.0.0.1", 9), 1),
    "socket": lambda: socket.socket(socket.AF_UNIX),
    "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "program": lambda: subprocess.run(["/bin/true"]),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "fork": fork,
    "signal": lambda: os.kill(parent, 0),
    "trace": traced,
    "io_uring": io_uring,
    "memory": lambda: bytearray(2 * int(sys.argv[4])),
    "limit": lambda: __import__("resource").setrlimit(__import__("resource").RLIMIT_AS, (-1, -1)),
    "thread": thread,
    "module": lambda: __import__("wave"),
    "library": lambda: open(readable[0] + "/errors.py").read(),
    "checkout": lambda: open(os.path.dirname(readable[0]) + "/pyproject.toml").read(),
}
found = {}
for name, attempt in attempts.items():
    try:
        attempt()
        found[name] = "succeeded"
    except BaseException as exc:
        found[name] = type(exc).__name__
os.write(1, json.dumps([applied, found]).encode())
os._exit(0)
"""
ALLOWED = {"thread", "module", "library"}


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], dict[str, str]]:
    """What was applied, and what came of each attempt."""
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "there").write_text("secret")
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPTS, str(os.getpid()), str(folder), json.dumps(readable()), str(MEMORY)],
        capture_output=True, check=True, cwd=Path(__file__).parents[2], timeout=60,
        env={"PYTHONPATH": os.pathsep.join(folders())},
    )  # fmt: skip
    assert (folder / "there").read_text() == "secret"
    assert [one.name for one in folder.iterdir()] == ["there"]
    applied, found = json.loads(done.stdout)
    return set(applied), found


def test_memory_is_limited_everywhere(attempts: tuple[set[str], dict[str, str]]) -> None:
    applied, found = attempts
    assert {"memory", "no-new-privileges"} <= applied
    assert found["memory"] == "MemoryError"
    assert found["limit"] != "succeeded"


def test_what_decoding_needs_still_works(attempts: tuple[set[str], dict[str, str]]) -> None:
    _, found = attempts
    assert {name: found[name] for name in ALLOWED} == dict.fromkeys(ALLOWED, "succeeded")


def test_nothing_else_works_where_the_kernel_filters_calls(attempts: tuple[set[str], dict[str, str]]) -> None:
    applied, found = attempts
    by_landlock = {"secret", "environment", "checkout"}  # a filter of calls cannot see which file is read
    expected = (found.keys() - ALLOWED if "seccomp" in applied else set()) - (
        set() if "landlock" in applied else by_landlock
    )
    assert {name for name in expected if found[name] == "succeeded"} == set()
    if "landlock" in applied:
        assert "succeeded" not in {found[name] for name in ("secret", "checkout", "write", "remove")}


def test_no_secret_of_the_parent_is_in_the_environment_and_no_file_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WILDTAG_ADMIN_KEY", "a secret of the gateway")
    decoders = Decoders(Spawner(MEMORY), 1, 10.0)
    with Path(__file__).open("rb") as other:
        os.set_inheritable(other.fileno(), True)
        try:
            decoders.warm()
            (worker,) = decoders._idle
            place = Path(f"/proc/{worker.child.pid}")
            if os.geteuid():  # not even its own user may look into it
                with pytest.raises(PermissionError):
                    (place / "environ").read_bytes()
                return
            assert b"secret" not in (place / "environ").read_bytes()
            names = [str(one.readlink()) for one in (place / "fd").iterdir()]
            allowed = ("/dev/null", "socket:", "/memfd:", f"/proc/{worker.child.pid}/statm")
            assert [name for name in names if not name.startswith(allowed)] == []
            assert len(names) <= 7
        finally:
            decoders.close()
