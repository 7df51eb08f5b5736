"""Identifies processes reliably: by pid and start time.

Linux only: everything is read from ``/proc``. Signals are sent through a pidfd, so that a process that ends between
the check and the signal is not confused with another that reuses its pid.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = "WILDTAG_STACK"
"""Environment variable of all descendants of a supervisor; its value is unique per run."""

_PROC = Path("/proc")


@dataclass(frozen=True, order=True)
class Identity:
    """A pid and the start time of its process, in clock ticks since boot."""

    pid: int
    started: int


@dataclass(frozen=True)
class Process:
    """A living process (not a zombie) and its process group."""

    identity: Identity
    group: int


def boot_id() -> str:
    """The kernel's id of the current boot; start times are valid within it."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def look_up(pid: int) -> Process | None:
    """The process with this pid, ``None`` if there is none or only a zombie."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # the name in parentheses may hold anything; behind it: state, ppid, pgrp, …, starttime as the 20th
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return Process(Identity(pid, int(fields[19])), int(fields[2]))


def alive(identity: Identity) -> bool:
    """Whether that same process is still running."""
    found = look_up(identity.pid)
    return found is not None and found.identity == identity


def all_processes() -> Iterator[Process]:
    """All living processes except this one."""
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            found = look_up(int(entry.name))
            if found is not None:
                yield found


def has_mark(pid: int, token: str) -> bool:
    """Whether the environment of a process has this token as its mark; ``False`` if it is not readable."""
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return f"{MARK}={token}".encode() in environment.split(b"\0")


def members_of(token: str, leaders: Iterable[Identity]) -> list[Identity]:
    """The processes of a run: its leaders, the groups of living leaders, and all that carry its mark.

    If a group's leader has ended, its number may have been reused, so its members must carry the mark.
    """
    led = {leader.pid: leader for leader in leaders}
    living = {pid for pid, leader in led.items() if alive(leader)}
    return [
        process.identity
        for process in all_processes()
        if process.group in living
        or led.get(process.identity.pid) == process.identity
        or has_mark(process.identity.pid, token)
    ]


def send(identity: Identity, signum: signal.Signals) -> bool:
    """Signal that same process. ``False`` if it no longer exists or may not be signalled."""
    try:
        handle = os.pidfd_open(identity.pid)
    except OSError:
        return False
    try:
        if not alive(identity):
            return False
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(handle, signum)
            return True
        return False
    finally:
        os.close(handle)


def end_all(
    token: str,
    leaders: Iterable[Identity],
    patience: float = 2.0,
    sleep: Callable[[float], None] = time.sleep,
) -> set[Identity]:
    """Kill all processes of a run until none is left; returns those that were killed.

    Gives up after ``patience`` seconds: a process that hangs in the kernel cannot be killed.
    """
    leaders = tuple(leaders)
    ended: set[Identity] = set()
    waited = 0.0
    while left := members_of(token, leaders):
        ended.update(identity for identity in left if send(identity, signal.SIGKILL))
        if waited >= patience:
            break
        sleep(0.02)
        waited += 0.02
    return ended
