"""Forks processes of a Python program that it has imported: they start at once and share the memory of its modules.

Run by ``workers.supervision.prefork`` with the arguments CONTROL, PROGRAM and PRELOAD. It imports the module PRELOAD
and then waits for orders. It knows no settings, opens nothing and has one thread, so that what it forks begins as a
new process does. A process reads its environment only after the fork: the server never has it.

Orders come one at a time on the socket CONTROL. ``F`` with two descriptors (log, request) forks; its answer is the
pid. ``S`` with a pid asks whether the process has ended, ``R`` releases its pid as well; the answer is ``si_code``
and ``si_status`` of ``waitid``, 0 while it runs. It ends with its parent, and what it forked ends with it.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import struct
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

PR_SET_PDEATHSIG = 1
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # the supervisor decides when it ends
PID, ENDED = struct.Struct("<i"), struct.Struct("<ii")
ARG_START, ARG_END = 45, 46  # in /proc/PID/stat, counted behind the name


class Threads(RuntimeError):
    """A module that was imported has started a thread, so that forking is not safe."""


def serve(control: int, preload: str) -> list[int]:
    """Import ``preload`` and carry out orders. Returns in each process that is forked, with its descriptors."""
    for signum in IGNORED:
        signal.signal(signum, signal.SIG_IGN)
    with socket.socket(fileno=control) as connection:
        gc.disable()
        importlib.import_module(preload)
        if threading.active_count() > 1 or len(list(Path("/proc/self/task").iterdir())) > 1:
            raise Threads(f"importing {preload} starts threads")
        gc.collect()
        gc.freeze()  # a collection does not touch, and so copy, the memory that is shared
        while True:
            order, descriptors, _, _ = socket.recv_fds(connection, 1 + PID.size, 2)
            if not order:
                sys.exit(0)
            if order[:1] == b"F":
                parent = os.getpid()
                pid = os.fork()
                if not pid:
                    _settle(parent)
                    return descriptors
                for one in descriptors:
                    os.close(one)
                connection.sendall(PID.pack(pid))
            else:
                (pid,) = PID.unpack_from(order, 1)
                connection.sendall(ENDED.pack(*_ended(pid, reap=order[:1] == b"R")))


def _settle(parent: int) -> None:
    """Make a process independent of the server, but for its end."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the request was made
        os._exit(1)
    os.setsid()
    for signum in IGNORED:
        signal.signal(signum, signal.default_int_handler if signum == signal.SIGINT else signal.SIG_DFL)
    gc.enable()


def _ended(pid: int, *, reap: bool) -> tuple[int, int]:
    try:
        result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | (0 if reap else os.WNOWAIT))
    except ChildProcessError:
        return 0, 0
    return (result.si_code, result.si_status) if result else (0, 0)


def become(program: str, descriptors: Sequence[int]) -> NoReturn:
    """Run the program as its request says: arguments, environment, current folder; the log gets its output."""
    log, request = descriptors
    with Path(os.devnull).open("rb") as null:
        os.dup2(null.fileno(), 0)
    for number in (1, 2):
        os.dup2(log, number)
    os.close(log)
    with os.fdopen(request, "rb") as file:
        asked = json.load(file)
    os.environ.clear()
    os.environ.update(asked["environment"])
    if asked["cwd"] is not None:
        os.chdir(asked["cwd"])
    set_title(asked["command"])
    sys.argv[1:] = asked["arguments"]
    runpy.run_module(program, run_name="__main__", alter_sys=True)
    sys.exit(0)


def set_title(command: Sequence[str]) -> None:
    """Show this command line in ``ps`` and ``/proc/PID/cmdline``, in place of the own one, cut to its length."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[ARG_START]), int(fields[ARG_END])
    words = b"\0".join(map(os.fsencode, command))[: end - start - 1]
    ctypes.memmove(start, words.ljust(end - start, b"\0"), end - start)


if __name__ == "__main__":
    become(sys.argv[2], serve(int(sys.argv[1]), sys.argv[3]))
