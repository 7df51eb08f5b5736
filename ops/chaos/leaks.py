"""What a stack leaves behind when it has ended: processes, files that are half written, and what its logs say."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import psutil

_LOOK_S = 0.5
_UNEQUIPPED = "no credentials for the S3 server"
_FINE = ("*.sock", "*.lock")


def until_gone(home: Path, patience_s: float) -> list[str]:
    """The processes of a home that are left after ``patience_s``: pid and command."""
    deadline = time.monotonic() + patience_s
    while (found := _processes(home)) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    return found


def _processes(home: Path) -> list[str]:
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        with suppress(psutil.Error, OSError):
            ended = process.status() == psutil.STATUS_ZOMBIE
            if not ended and process.environ().get("WILDTAG_HOME") == str(home):
                found.append(f"{process.pid} {' '.join(process.info['cmdline'] or ())[:200]}")
    return found


def left_files(home: Path) -> list[str]:
    """Files of the home that somebody began to write and never finished."""
    found = []
    for pattern in ("**/*.part", "**/*.tmp", "**/.*.building", "**/.*.restoring"):
        found += [str(file.relative_to(home)) for file in home.glob(pattern)]
    return sorted(found)


def unequipped(home: Path) -> list[str]:
    """The logs in which a process says that it was not given the credentials of the store, which it needs."""
    logs = sorted((home / "logs").glob("*.log*"))
    return [log.name for log in logs if _UNEQUIPPED in log.read_text(encoding="utf-8", errors="replace")]
