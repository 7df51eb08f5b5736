"""Forks the processes that decode. It has loaded what decodes, has no secrets, and decodes nothing itself.

It is started by ``workers.decoding.spawner`` with an environment of its own, and ends with the process that started
it. Orders come one at a time: ``F`` with three descriptors forks, ``R`` with a process id waits for its end and
reaps it, ``K`` kills it before.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import struct
import sys
import time

from vectordb.decoders import from_json
from workers.decoding.decode_loop import preload, serve
from workers.decoding.decode_messages import Limits

_PARENT_S = 5.0
_END_S, _PAUSE_S = 2.0, 0.001
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)


def run(control: int, limits: Limits) -> None:
    """Serve until the other end of ``control`` is closed, or the parent is gone."""
    parent = os.getppid()
    for number in _IGNORED:  # the group gets them, and whoever uses the processes finishes its work first
        signal.signal(number, signal.SIG_IGN)
    preload(video=limits.video)
    gc.freeze()  # the memory of what was loaded stays shared with the processes
    children: set[int] = set()
    with socket.socket(fileno=control) as connection:
        while os.getppid() == parent:
            if not select.select([connection], [], [], _PARENT_S)[0]:
                continue
            order, descriptors, _, _ = socket.recv_fds(connection, 5, 3)
            if not order:
                return
            if order[:1] == b"F":
                pid = os.fork()
                if pid == 0:
                    _child(descriptors, limits)
                for one in descriptors:
                    os.close(one)
                children.add(pid)
                connection.sendall(struct.pack("<i", pid))
            else:
                (pid,) = struct.unpack_from("<i", order, 1)
                status = _reaped(pid, at_once=order[:1] == b"K") if pid in children else 0
                children.discard(pid)
                connection.sendall(struct.pack("<i", status))


def _child(descriptors: list[int], limits: Limits) -> None:
    code = 1
    try:
        connection, given, made = descriptors
        serve(connection, given, made, limits)
        code = 0
    finally:
        os._exit(code)


def _reaped(pid: int, *, at_once: bool) -> int:
    """Wait until a process has ended, and end it if it does not. Returns its status as of ``os.waitpid``."""
    until = time.monotonic() + (0.0 if at_once else _END_S)
    while time.monotonic() < until:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status
        time.sleep(_PAUSE_S)
    os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


if __name__ == "__main__":
    run(int(sys.argv[1]), from_json(sys.argv[2].encode(), Limits))
