"""Signs of life in files, for health checks that must cost nothing: a shell reads them, no interpreter is started.

A file per name holds one line: the seconds since the system was booted (``/proc/uptime``) at the last sign. So no
step of a clock makes a process look dead, or alive. Whoever writes it has made progress just then, or waits for
something that is away, in the very loop that does the work: a thread that only writes would go on where the work does
not.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import structlog

log = structlog.get_logger()

UPTIME = Path("/proc/uptime")
EVERY_S = 1.0  # a sign in less time than that is not written


class LivenessFiles:
    """The files of one process, in a folder; without a folder nothing is written."""

    def __init__(self, folder: Path | None) -> None:
        """Touches nothing."""
        self._folder = folder
        self._written: dict[str, float] = {}
        self._failed = False

    def begin(self, *names: str) -> None:
        """Make the folder, and take back what a predecessor said of these. Raises ``OSError``."""
        if self._folder is not None:
            UPTIME.read_text()  # on a system without it nobody could read the files either
            self._folder.mkdir(parents=True, exist_ok=True)
            for name in names:
                (self._folder / name).unlink(missing_ok=True)

    def touch(self, name: str) -> None:
        """``name`` lives. A file that cannot be written is logged once: work goes on, and the health check fails."""
        now = time.monotonic()
        if self._folder is None or now - self._written.get(name, -EVERY_S) < EVERY_S:
            return
        self._written[name] = now
        part = self._folder / f".{name}.{os.getpid()}"
        try:
            # a process and its children may write at once, and nobody must see half of it
            part.write_text(f"{UPTIME.read_text().partition('.')[0]}\n")
            part.replace(self._folder / name)
        except OSError as exc:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            if not self._failed:
                log.warning("no sign of life can be written", file=str(self._folder / name), reason=str(exc))
            self._failed = True
        else:
            self._failed = False
