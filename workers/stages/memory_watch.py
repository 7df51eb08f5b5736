"""Ends a process of a worker that takes too much memory, after its message or at once, or too long for a message.

A process that grows slowly (fragments, a leak) is replaced between two messages, which costs the loading of its
models. One that grows within a message, as over a picture built to do so, is ended before the machine swaps: the
message counts as one over which a process died (``workers.stages.crash_guard``).
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from vectordb.memory import available_memory, total_memory
from workers.supervision.memory import give_back

log = structlog.get_logger()

EVERY_S = 0.25
SHARE = 0.6  # of the memory of the machine or container, after which a process is replaced …
AT_ONCE = 0.9  # … and above which it is ended within a message
SHORT = 0.1  # so much of it is left at least, or half of ``SHARE`` is too much
GROWTH = 1.25  # times what a process has after its first message: it is not replaced for what its models take


class MemoryWatch:
    """Watches this process. ``limit``: bytes after which it is replaced; by default a share of the memory."""

    def __init__(
        self,
        limit: int | None = None,
        *,
        taken: Callable[[], int] | None = None,
        total: Callable[[], int] = total_memory,
        available: Callable[[], int] = available_memory,
        kill: Callable[[], object] = lambda: os.kill(os.getpid(), signal.SIGKILL),
    ) -> None:
        self._taken = taken or resident
        self._total = total()
        self._available = available
        self._kill = kill
        self.limit = limit or int(self._total * SHARE)
        # what is set is obeyed: half as much again within a message
        self.most = min(int(self._total * AT_ONCE), self.limit * 3 // 2) if limit else int(self._total * AT_ONCE)
        self._first: int | None = None

    def replace(self) -> bool:
        """Whether this process is to be replaced. Called between two messages."""
        taken = self._taken()
        if self._first is None:
            self._first = taken
            if taken > self.limit:
                log.warning("memory limit too low", mib=taken >> 20, limit_mib=self.limit >> 20,
                            then="the models alone take more, so the process stays until it grows")  # fmt: skip
            return False
        if not self._too_much(taken):
            return False
        give_back()
        taken = self._taken()
        if self._too_much(taken):
            log.warning("process replaced", reason="it takes too much memory", mib=taken >> 20,
                        limit_mib=self.limit >> 20)  # fmt: skip
            return True
        return False

    def start(self, ending: Path | None, overdue: Callable[[], str] = lambda: "") -> None:
        """Watch from now on, within messages, too. ``ending``: where to say how this process ended.

        ``overdue``: says if a message exceeds its time limit. Celery watches only the message of its current task,
        and a message of embedding may go on after its task (``workers.stages.message_overlap``).
        """
        threading.Thread(target=self._run, args=(ending, overdue), name="watch", daemon=True).start()

    def look(self, ending: Path | None, overdue: Callable[[], str] = lambda: "") -> bool:
        """End this process if it takes more than it may within a message. Returns whether it does."""
        taken = self._taken()
        how = overdue()
        if taken > max(self.most, int(GROWTH * (self._first or 0))):
            how = f"was ended since it took {taken >> 20:,} MiB of memory, more than {self.most >> 20:,} MiB"
        if not how:
            return False
        if ending is not None:
            try:
                ending.write_text(how, encoding="utf-8")
            except OSError as exc:
                log.warning("not written down", reason=str(exc))
        log.error("process ended", reason=how)
        self._kill()
        return True

    def _too_much(self, taken: int) -> bool:
        if self._first is not None and taken <= self._first * GROWTH:
            return False
        if taken > self.limit:
            return True
        return taken > self.limit // 2 and self._available() < self._total * SHORT

    def _run(self, ending: Path | None, overdue: Callable[[], str]) -> None:
        while not self.look(ending, overdue):
            time.sleep(EVERY_S)


def resident() -> int:
    """Bytes of memory that this process has for itself now; 0 where the system does not say.

    Without the pages of files, such as those of an index: the system takes them back when memory is short.
    """
    try:
        pages = list(map(int, Path("/proc/self/statm").read_text().split()[1:3]))
        return (pages[0] - pages[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
