"""One run of one service: its process, process group and log."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from workers.supervision import launch
from workers.supervision.ambient import ambient
from workers.supervision.log_files import begin_log
from workers.supervision.os_processes import MARK, Identity, look_up
from workers.supervision.service import Service

_TAIL = 16_384  # bytes to search for the last lines


class Child:
    """A process that leads its own session and process group, started by running its program.

    Create it in a thread that lives as long as the supervisor: the kernel ends the child with that thread.
    """

    def __init__(self, service: Service, log: Path, token: str) -> None:
        self._reader: threading.Thread | None = None
        with contextlib.ExitStack() as opened:
            file = opened.enter_context(begin_log(log))
            self._log, self._log_start = log, file.tell()
            out = file.fileno() if service.lines is None else self._read(service.lines, opened)
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), *service.command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**ambient(os.environ), **service.env, MARK: token},
                cwd=service.cwd,
                start_new_session=True,
            )
        self.pid = self._process.pid
        found = look_up(self.pid)
        self.identity = found.identity if found else Identity(self.pid, 0)
        """Its start time is 0 if it ended at once: no living process has that."""

    def _read(self, turn: Callable[[str], str | None], opened: contextlib.ExitStack) -> int:
        """Begin to read what the process writes. Returns what it writes to."""
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        opened.callback(os.close, theirs)
        # a supervisor that is suspended must not stop it, too: then lines are lost
        fcntl.fcntl(theirs, fcntl.F_SETFL, fcntl.fcntl(theirs, fcntl.F_GETFL) | os.O_NONBLOCK)

        def copy() -> None:
            with os.fdopen(ours, "rb") as lines:
                for line in lines:
                    turned = turn(line.decode(errors="replace"))
                    # opened for each line, because it may have been rotated
                    with contextlib.suppress(OSError), begin_log(self._log) as log:
                        log.write(b"" if turned is None else turned.encode(errors="backslashreplace") + b"\n")

        self._reader = threading.Thread(target=copy, name=f"log of {self._log.stem}", daemon=True)
        self._reader.start()
        return theirs

    def exit_status(self) -> str | None:
        """How it ended, as text; ``None`` while it runs. Does not reap the process."""
        if self._process.returncode is not None:
            return in_words(self._process.returncode)
        result = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if result is None:
            return None
        return in_words(result.si_status if result.si_code == os.CLD_EXITED else -result.si_status)

    def signal(self, signum: signal.Signals) -> None:
        """Send a signal to the process, not to its group."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signum)

    def kill(self) -> None:
        """Kill the whole group. Safe until ``reap``: a process that was not waited for keeps its pid."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def reap(self) -> None:
        """After it ended: kill the rest of its group, then release its pid."""
        self.kill()
        self._process.wait()
        if self._reader is not None:
            self._reader.join(1.0)  # what it wrote last says why it ended

    def last_lines(self, count: int = 15) -> str:
        """The last lines that this run wrote, without those of earlier runs."""
        with contextlib.suppress(OSError), self._log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            begin = self._log_start if self._log_start <= end else 0  # it was rotated meanwhile
            log.seek(max(begin, end - _TAIL))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-count:])
        return ""


def in_words(code: int) -> str:
    """Describes a return code of subprocess; a negative one is a signal."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
