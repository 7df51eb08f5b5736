"""Processes that are forked from one that has imported the program before, instead of being started anew.

Starting a Python program costs each process a second of processor time for its imports, and 60 MB for its modules.
``PreforkServer`` pays that once. What it forks has its own session, log and environment, as every ``Child`` has.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from workers.supervision import launch
from workers.supervision.ambient import ambient
from workers.supervision.child import Child, in_words
from workers.supervision.log_files import begin_log
from workers.supervision.os_processes import MARK, Identity, all_processes, has_mark, look_up, send
from workers.supervision.prefork_server import ENDED, PID
from workers.supervision.service import Service

PATIENCE_S = 60.0  # for an answer: the first one comes when everything is imported
ROOM = 256  # bytes of the server's command line in which the command line of a forked process is shown
_SERVER = "workers.supervision.prefork_server"
# libraries of matrices must not start threads in a process that forks, and the matrices of its processes are small
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}


class ServerEnded(OSError):
    """The process that forks the others has ended, or does not answer. What it forked has ended, or will."""


class PreforkServer:
    """The server of ``python -P -m PROGRAM …``. ``preload``: the module that it imports first, with what is shared.

    Create it in a thread that lives as long as the supervisor: the kernel ends it with that thread.
    """

    def __init__(self, program: str, preload: str, log: Path, token: str) -> None:
        """Starts it, and does not wait until it is ready. Raises ``OSError``."""
        self._program = program
        self._token = token
        self._control, theirs = socket.socketpair()
        self._control.settimeout(PATIENCE_S)
        with theirs, begin_log(log) as out:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), sys.executable, "-P", "-m", _SERVER,
                 str(theirs.fileno()), program, preload, "-" * ROOM],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, pass_fds=[theirs.fileno()],
                env={**ambient(os.environ), **_ENVIRONMENT, MARK: token}, start_new_session=True,
            )  # fmt: skip

    @property
    def token(self) -> str:
        """The mark of all that it forks."""
        return self._token

    def forks(self, command: Sequence[str]) -> bool:
        """Whether this command runs its program."""
        return tuple(command[:4]) == (sys.executable, "-P", "-m", self._program)

    def fork(self, command: Sequence[str], environment: Mapping[str, str], cwd: Path | None, log: int) -> int:
        """The pid of a new process, reserved until ``ended`` reaps it. Raises ``ServerEnded``, ``OSError``."""
        request = {
            "command": list(command), "arguments": list(command[4:]), "environment": dict(environment),
            "cwd": None if cwd is None else str(cwd),
        }  # fmt: skip
        with os.fdopen(os.memfd_create("request", os.MFD_CLOEXEC), "wb") as file:
            file.write(json.dumps(request).encode())
            file.flush()
            file.seek(0)
            (pid,) = PID.unpack(self._answer(PID.size, b"F" + PID.pack(0), log, file.fileno()))
        return int(pid)

    def ended(self, pid: int, *, reap: bool = False) -> int | None:
        """The return code of a process as subprocess gives it, ``None`` while it runs. ``reap``: release its pid.

        Raises ``ServerEnded``.
        """
        code, status = ENDED.unpack(self._answer(ENDED.size, (b"R" if reap else b"S") + PID.pack(pid)))
        if not code:
            return None
        return int(status if code == os.CLD_EXITED else -status)

    def close(self) -> None:
        """End it, and with it all that it forked."""
        self._control.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answer(self, length: int, order: bytes, *descriptors: int) -> bytes:
        found = b""
        try:
            socket.send_fds(self._control, [order], descriptors)
            while len(found) < length:
                part = self._control.recv(length - len(found))
                if not part:
                    raise ConnectionResetError("no answer")
                found += part
        except OSError as exc:
            raise ServerEnded(f"the process that forks the others has ended: {exc}") from exc
        return found


class ForkedChild(Child):
    """A ``Child`` that a ``PreforkServer`` has forked."""

    def __init__(self, service: Service, log: Path, server: PreforkServer) -> None:
        """Raises ``ServerEnded``, ``OSError``."""
        self._server = server
        self._code: int | None = None
        self._reaped = False
        environment = {**ambient(os.environ), **service.env, MARK: server.token}
        with begin_log(log) as out:
            self._log, self._log_start = log, out.tell()
            self.pid = server.fork(service.command, environment, service.cwd, out.fileno())
        try:
            self._handle = os.pidfd_open(self.pid)
        except OSError:  # too many open files
            os.kill(self.pid, signal.SIGKILL)
            raise
        found = look_up(self.pid)
        self.identity = found.identity if found else Identity(self.pid, 0)

    def exit_status(self) -> str | None:
        """How it ended, as text; ``None`` while it runs. Does not release its pid."""
        if self._code is None and not self._reaped and select.select([self._handle], [], [], 0)[0]:
            try:
                self._code = self._server.ended(self.pid)
            except ServerEnded:
                self._code = -signal.SIGKILL
        return None if self._code is None else in_words(self._code)

    def signal(self, signum: signal.Signals) -> None:
        """Send a signal to the process, not to its group."""
        if not self._reaped:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signum)

    def kill(self) -> None:
        """Kill the whole group. Safe until ``reap``: a process that was not waited for keeps its pid."""
        if self._reaped:
            return
        self.signal(signal.SIGKILL)
        try:
            self._server.ended(self.pid)
        except ServerEnded:  # nobody keeps the pid any more
            for process in all_processes():
                if process.group == self.pid and has_mark(process.identity.pid, self._server.token):
                    send(process.identity, signal.SIGKILL)
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def reap(self) -> None:
        """After it ended: kill the rest of its group, then release its pid."""
        if self._reaped:
            return
        self.kill()
        select.select([self._handle], [], [])  # until the kernel has ended it
        self.exit_status()
        with contextlib.suppress(ServerEnded):
            self._server.ended(self.pid, reap=True)
        self._reaped = True
        os.close(self._handle)
