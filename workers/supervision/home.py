"""What one home folder knows about the stack that runs in it.

``run/lock``            held (flock) by the supervisor as long as it lives; its text is the supervisor's pid
``run/processes.json``  what was started, so that it can be ended even when the supervisor was killed
``run/stack.json``      written when the stack is ready, gone when it has stopped: addresses and pids
``logs/NAME.log``       what each service printed
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from workers.supervision.os_processes import Identity, alive, boot_id, end_all, look_up
from workers.supervision.service import StackRunning


@dataclass(frozen=True)
class StackInfo:
    """A stack that is up: its supervisor, when it was ready (ISO 8601, UTC), and where to reach what."""

    supervisor: Identity
    ready_at: str
    addresses: Mapping[str, str]
    pids: Mapping[str, int]


class Home:
    """The run files of one home folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = path / "run"
        self.logs = path / "logs"
        self.token = secrets.token_hex(16)
        """The mark of this run; see ``processes.MARK``."""
        self._lock: IO[str] | None = None

    def lock(self) -> None:
        """Raises ``StackRunning`` when another process holds it."""
        self.run.mkdir(parents=True, exist_ok=True)
        self.run.chmod(0o700)
        held = (self.run / "lock").open("a+")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            held.seek(0)
            pid = held.read().strip() or "unknown"
            held.close()
            raise StackRunning(
                f"a stack is already running in {self.path} (its supervisor is process {pid}): "
                "stop that one, or choose another home"
            ) from exc
        held.truncate(0)
        held.write(f"{os.getpid()}\n")
        held.flush()
        self._lock = held

    def unlock(self) -> None:
        """Let another supervisor have this home. Harmless when called twice."""
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.close()
            self._lock = None

    def end_leftovers(self) -> set[Identity]:
        """Kill what a supervisor that was itself killed has left here."""
        return end_recorded(self.run / "processes.json")

    def record(self, leaders: Mapping[str, Identity]) -> None:
        """Note what runs, before and after each start."""
        noted = {name: [leader.pid, leader.started] for name, leader in leaders.items()}
        write_json(
            self.run / "processes.json",
            {"boot": boot_id(), "mark": self.token, "supervisor": os.getpid(), "leaders": noted},
        )

    def publish(self, info: StackInfo) -> None:
        """Say that the stack is up, and where."""
        write_json(
            self.run / "stack.json",
            {
                "supervisor": [info.supervisor.pid, info.supervisor.started],
                "ready_at": info.ready_at,
                "addresses": dict(info.addresses),
                "pids": dict(info.pids),
            },
        )

    def retract(self) -> None:
        """The stack is no longer up."""
        (self.run / "stack.json").unlink(missing_ok=True)

    def forget(self) -> None:
        """Nothing runs any more."""
        self.retract()
        (self.run / "processes.json").unlink(missing_ok=True)


def read_stack(home: Path) -> StackInfo | None:
    """The stack that is up in this home, ``None`` when there is none: a dead one's file does not count."""
    try:
        noted = json.loads((home / "run" / "stack.json").read_text())
        info = StackInfo(Identity(*noted["supervisor"]), noted["ready_at"], noted["addresses"], noted["pids"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return info if alive(info.supervisor) else None


def end_recorded(file: Path, token: str | None = None) -> set[Identity]:
    """Kill what the run file names, if it is of this boot and (where given) of this run; drop the file."""
    try:
        noted = json.loads(file.read_text())
        leaders = [Identity(*leader) for leader in noted["leaders"].values()]
        mark = str(noted["mark"])
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    if token is not None and mark != token:
        return set()
    ended = end_all(mark, leaders) if noted.get("boot") == boot_id() else set()
    file.unlink(missing_ok=True)
    return ended


def this_process() -> Identity:
    """The identity of the caller."""
    found = look_up(os.getpid())
    return found.identity if found else Identity(os.getpid(), 0)


def write_json(file: Path, value: object) -> None:
    """Replace a file at once, so that a reader finds the old text or the new, readable by its owner only."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        json.dump(value, out, indent=2)
    draft.replace(file)
