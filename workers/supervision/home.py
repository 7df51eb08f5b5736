"""The files in a home folder that describe the stack running in it.

- ``run/lock``: locked (flock) by the supervisor while it runs; contains its pid and start time, and that it stops
- ``run/processes.json``: started processes, so that they can be ended even if the supervisor was killed
- ``run/stack.json``: exists while the stack is ready: addresses and pids
- ``logs/NAME.log``: the output of each service
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from vectordb.leftovers import remove_leftovers
from workers.supervision.os_processes import Identity, alive, boot_id, end_all, look_up
from workers.supervision.service import StackRunning

STOPPING = "stopping"

Phase = Literal["starting", "ready", "stopping"]


@dataclass(frozen=True)
class StackInfo:
    """A running stack: its supervisor, when it became ready (ISO 8601, UTC), its addresses, and its settings."""

    supervisor: Identity
    ready_at: str
    addresses: Mapping[str, str]
    pids: Mapping[str, int]
    settings: Mapping[str, Any] = field(default_factory=dict)


class Home:
    """The run files of one home folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = path / "run"
        self.logs = path / "logs"
        self.token = secrets.token_hex(16)
        """The token of this run; see ``processes.MARK``."""
        self._lock: IO[str] | None = None

    def lock(self) -> None:
        """Lock the home. Raises ``StackRunning`` if another process holds the lock."""
        self.run.mkdir(parents=True, exist_ok=True)
        self.run.chmod(0o700)
        held = (self.run / "lock").open("a+")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            held.seek(0)
            pid = (held.read().split() or ["unknown"])[0]
            held.close()
            raise StackRunning(
                f"a stack is already running in {self.path} (its supervisor is process {pid}): stop that"
                " one, or choose another home"
            ) from exc
        held.truncate(0)
        own = this_process()
        held.write(f"{own.pid} {own.started}\n")
        held.flush()
        self._lock = held

    def stopping(self) -> None:
        """Remove the published addresses, and note that the stack stops."""
        self.retract()
        if self._lock is not None:
            self._lock.write(f"{STOPPING}\n")
            self._lock.flush()

    def unlock(self) -> None:
        """Release the lock. May be called twice."""
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.close()
            self._lock = None

    def end_leftovers(self) -> set[Identity]:
        """Kill the processes that a killed supervisor has left here."""
        return end_recorded(self.run / "processes.json")

    def record(self, leaders: Mapping[str, Identity]) -> None:
        """Store the running processes, before and after each start."""
        noted = {name: [leader.pid, leader.started] for name, leader in leaders.items()}
        write_json(
            self.run / "processes.json",
            {"boot": boot_id(), "mark": self.token, "supervisor": os.getpid(), "leaders": noted},
        )

    def publish(self, info: StackInfo) -> None:
        """Publish the addresses of the ready stack."""
        write_json(
            self.run / "stack.json",
            {
                "supervisor": [info.supervisor.pid, info.supervisor.started],
                "ready_at": info.ready_at,
                "addresses": dict(info.addresses),
                "pids": dict(info.pids),
                "settings": dict(info.settings),
            },
        )

    def retract(self) -> None:
        """Remove the published addresses."""
        (self.run / "stack.json").unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove the list of processes, because none is running."""
        self.retract()
        (self.run / "processes.json").unlink(missing_ok=True)


def read_stack(home: Path) -> StackInfo | None:
    """The stack that runs in this home, ``None`` if there is none. Ignores the file of a dead stack."""
    try:
        noted = json.loads((home / "run" / "stack.json").read_text())
        info = StackInfo(
            Identity(*noted["supervisor"]), noted["ready_at"], noted["addresses"], noted["pids"],
            noted.get("settings", {}),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return info if alive(info.supervisor) else None


def phase_of(home: Path) -> Phase | None:
    """What the stack of this home does; ``None`` if none runs."""
    if read_stack(home) is not None:
        return "ready"
    supervisor, stopping = _locked_by(home)
    if supervisor is None:
        return None
    return "stopping" if stopping else "starting"


def supervisor_of(home: Path) -> Identity | None:
    """The supervisor that runs, starts or stops the stack of this home; ``None`` if there is none."""
    return _locked_by(home)[0]


def _locked_by(home: Path) -> tuple[Identity | None, bool]:
    """The living supervisor that has locked a home, and whether it stops."""
    try:
        pid, started, *noted = (home / "run" / "lock").read_text().split()
        supervisor = Identity(int(pid), int(started))
    except (OSError, ValueError):
        return None, False
    return (supervisor, STOPPING in noted) if alive(supervisor) else (None, False)


def end_recorded(file: Path, token: str | None = None) -> set[Identity]:
    """Kill the processes in the run file, if it is of this boot and (if given) of this run; remove the file."""
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
    """The identity of the calling process."""
    found = look_up(os.getpid())
    return found.identity if found else Identity(os.getpid(), 0)


def write_json(file: Path, value: object) -> None:
    """Replace a file atomically; only its owner can read it."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    remove_leftovers(file.parent, f".{file.name}.*")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        json.dump(value, out, indent=2)
    draft.replace(file)
