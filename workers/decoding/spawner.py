"""Starts the fork server, and asks it for processes that decode."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from vectordb.errors import Transient
from workers.decoding.decode_messages import Limits
from workers.decoding.landlock import SYSTEM

_ADD_SEALS, _SEAL_SEAL, _SEAL_SHRINK = 1033, 1, 2
_WAIT_S = 60.0  # for an answer: the first one comes when it has loaded what decodes
# one thread of each library: an image uses one core, and threads take address space
_ENVIRONMENT = {
    "LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2",
    # memory of an image is kept for the next one: to get it from the kernel each time takes half a millisecond
    "MALLOC_MMAP_THRESHOLD_": "16777216", "MALLOC_TRIM_THRESHOLD_": "33554432", "MALLOC_TOP_PAD_": "2097152",
}  # fmt: skip
_LIBRARIES = ("LD_LIBRARY_PATH",)  # without it some builds of Python do not start
_PROGRAM = (
    "import sys, json; sys.path[:] = json.loads(sys.argv.pop(1)); import runpy;"
    " runpy.run_module('workers.decoding.fork_server', run_name='__main__', alter_sys=False)"
)


class NoDecoder(Transient):
    """No process that decodes can be started."""


@dataclass
class Child:
    """A process that decodes. ``connection``: for messages; ``given``, ``made``: shared memory, see ``serve``."""

    pid: int
    handle: int
    connection: socket.socket
    given: int
    made: int

    def close(self) -> None:
        """Give back what belongs to it. The process ends by that, if it is alive and not busy."""
        self.connection.close()
        for one in (self.handle, self.given, self.made):
            os.close(one)


_OWN = Path(__file__).parents[2]
_PACKAGES = ("vectordb", "tasks", "workers")


def folders() -> tuple[str, ...]:
    """Where Python looks for modules, without the current folder."""
    return tuple(dict.fromkeys([str(_OWN), *(str(Path(one).resolve()) for one in sys.path if one)]))


def readable() -> tuple[str, ...]:
    """What a process that decodes may read. Of a checkout only the packages: it may have a ``.env``, or a home."""
    packages = [str(_OWN / name) for name in _PACKAGES]
    if _OWN.name in {"site-packages", "dist-packages"}:
        packages = [str(_OWN)]
    others = [one for one in folders() if one != str(_OWN)]
    return tuple(dict.fromkeys([*packages, *others, sys.prefix, sys.base_prefix, *SYSTEM]))


class Spawner:
    """Has one fork server, started when it is first needed, and again if it has ended. Thread-safe."""

    def __init__(self, memory: int, *, video: bool = False) -> None:
        """``memory``: bytes that one image may take. ``video``: whether videos are decoded."""
        self._limits = Limits(memory, readable(), video)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._owner = os.getpid()

    def child(self) -> Child:
        """A new process. Raises ``NoDecoder``."""
        with self._lock:
            try:
                return self._child()
            except OSError:
                self._close()  # it has ended; once more
            try:
                return self._child()
            except OSError as exc:
                self._close()
                raise NoDecoder(f"no process for decoding images can be started: {exc}") from exc

    def end(self, child: Child, *, at_once: bool = False) -> int:
        """End a process. Returns its status as of ``os.waitpid``; 0 if it is not known, or ended without a fault.

        ``at_once``: kill it; otherwise its connection is closed first, by which it ends unless it hangs.
        """
        with self._lock:
            child.connection.close()
            status = 0
            order = (b"K" if at_once else b"R") + struct.pack("<i", child.pid)
            try:
                if self._control is not None:
                    with suppress(OSError):
                        status = self._ordered(self._control, order)
            finally:
                child.close()
            return status

    def close(self) -> None:
        """End the fork server, and with it all processes."""
        with self._lock:
            self._close()

    def _child(self) -> Child:
        if self._owner != os.getpid():  # forked: the parent process goes on with its own
            self._owner, self._process, self._control = os.getpid(), None, None
        control = self._control or self._start()
        ours, theirs = socket.socketpair()
        given, made = (os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING) for name in ("given", "made"))
        # what is mapped here must not become smaller
        fcntl.fcntl(made, _ADD_SEALS, _SEAL_SHRINK | _SEAL_SEAL)
        try:
            with theirs:
                pid = self._ordered(control, b"F", [theirs.fileno(), given, made])
            return Child(pid, os.pidfd_open(pid), ours, given, made)
        except BaseException:
            ours.close()
            os.close(given)
            os.close(made)
            raise

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.settimeout(_WAIT_S)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _PROGRAM, msgspec.json.encode(folders()).decode(),
                 str(theirs.fileno()), msgspec.json.encode(self._limits).decode()],
                env=_ENVIRONMENT | {name: os.environ[name] for name in _LIBRARIES if name in os.environ}, cwd="/",
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
        self._control = ours
        return ours

    def _ordered(self, control: socket.socket, order: bytes, descriptors: Sequence[int] = ()) -> int:
        """The answer to an order. Without one the fork server ends: a late answer would be that of the next order."""
        try:
            socket.send_fds(control, [order], descriptors)
            return self._answer(control)
        except BaseException:  # also a wait that was interrupted
            self._close()
            raise

    @staticmethod
    def _answer(control: socket.socket) -> int:
        found = b""
        while len(found) < 4:
            part = control.recv(4 - len(found))
            if not part:
                raise ConnectionResetError("the fork server has ended")
            found += part
        return int(struct.unpack("<i", found)[0])

    def _close(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            process, self._process = self._process, None
            with suppress(OSError):
                process.kill()  # the processes that it forked end with it
            process.wait()
