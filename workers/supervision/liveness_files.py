"""Liveness files, for health checks that a shell can read without starting an interpreter.

One file per name holds one line: the system uptime in seconds (``/proc/uptime``) at the last report, which is
independent of clock changes. It is written in the loop that does the work, after progress or while waiting for an
unavailable service. A separate thread would report life even if the work hangs.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import structlog

from vectordb.leftovers import remove_leftovers

log = structlog.get_logger()

UPTIME = Path("/proc/uptime")
EVERY_S = 1.0  # shorter intervals are not written


class LivenessFiles:
    """The files of one process in a folder; without a folder nothing is written."""

    def __init__(self, folder: Path | None) -> None:
        """Does not access the disk."""
        self._folder = folder
        self._written: dict[str, float] = {}
        self._failed = False

    def begin(self, *names: str) -> None:
        """Create the folder and remove the files of a previous process. Raises ``OSError``."""
        if self._folder is not None:
            UPTIME.read_text()  # without this file the others cannot be interpreted
            self._folder.mkdir(parents=True, exist_ok=True)
            for name in names:
                (self._folder / name).unlink(missing_ok=True)
                remove_leftovers(self._folder, f".{name}.*")

    def touch(self, name: str) -> None:
        """Report that ``name`` is alive. A write error is logged once: work continues, and the health check fails."""
        now = time.monotonic()
        if self._folder is None or now - self._written.get(name, -EVERY_S) < EVERY_S:
            return
        self._written[name] = now
        part = self._folder / f".{name}.{os.getpid()}"
        try:
            # a process and its children may write at the same time, and readers must not see half of it
            part.write_text(f"{UPTIME.read_text().partition('.')[0]}\n")
            part.replace(self._folder / name)
        except OSError as exc:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            if not self._failed:
                log.warning("cannot write liveness file", file=str(self._folder / name), reason=str(exc))
            self._failed = True
        else:
            self._failed = False
