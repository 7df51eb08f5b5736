"""Replaces processes of a worker that crash, take too long or too much memory, and hands on their work."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import billiard.pool
import structlog
from billiard.process import current_process
from celery import Celery
from celery.signals import worker_process_init

from workers.broker.worker_pool import watch_pool
from workers.settings.settings import Settings
from workers.stages.crash_journal import CrashJournal, note_ending
from workers.stages.memory_watch import MemoryWatch, resident
from workers.stages.worker import StageWorker
from workers.supervision.temporary import temporary_folder

log = structlog.get_logger()


def temporary_folder_of_crashes() -> Path | None:
    """A folder for the journals of one worker's processes; ``None`` if none can be made."""
    try:
        return temporary_folder("worker")
    except OSError as exc:  # a full disk, for one: the ledger has the objects
        log.warning("crashes are not recorded", reason=str(exc))
        return None


def watched(app: Celery, settings: Settings) -> Crashes:
    """Begin to watch the processes of a worker, which are not started yet."""
    crashes = Crashes(temporary_folder_of_crashes(), settings)
    crashes.watch(app)
    return crashes


class Crashes:
    """Of one worker. Made in the worker, used in its processes, too."""

    def __init__(self, folder: Path | None, settings: Settings) -> None:
        self._folder = folder
        mib = settings.worker_memory_mib
        self._watch = MemoryWatch(None if mib is None else mib << 20)
        self._watching = False
        self._worker: StageWorker | None = None

    def watch(self, app: Celery) -> None:
        """Have the pool say how its processes end, and replace those that take too much memory."""
        folder = self._folder
        if folder is not None:
            watch_pool(lambda place, how: note_ending(folder, place, how))
            parent: Any = multiprocessing.current_process()  # a folder of its own would stay if it is killed
            parent._config.setdefault("tempdir", str(folder))  # noqa: SLF001 -- there is no setting
        app.conf.worker_max_memory_per_child = self._watch.limit >> 10
        pool: Any = billiard.pool  # its function returns the most that a process ever had
        pool.mem_rss = self._taken_for_celery

    def journal(self) -> CrashJournal:
        """That of this process of the pool."""
        return CrashJournal(self._folder, getattr(current_process(), "index", 0))

    def begin(self, worker: StageWorker) -> StageWorker:
        """Watch this process, whose stages were made. Returns them."""
        self._worker = worker
        if not self._watching:
            self._watching = True
            self._watch.start(self.journal().ending, lambda: self._worker.guard.overdue() if self._worker else "")
        return worker

    def recover_with(self, current: Callable[[], StageWorker]) -> None:
        """Have a process whose predecessor died make its stages at once, which then hand on what that worked on."""

        def begun(**_: Any) -> None:
            state = self.journal().state
            if state.held or state.testing:
                try:
                    current()
                except Exception as exc:  # the ledger has the objects
                    log.warning("left to the ledger", error=f"{type(exc).__name__}: {exc}")

        worker_process_init.connect(begun, weak=False)

    def close(self) -> None:
        """Remove the folder."""
        if self._folder is not None:
            with suppress(OSError):
                shutil.rmtree(self._folder)

    def _taken_for_celery(self) -> int:
        """KiB, called after each task: above the limit this process is replaced, as the watch decides."""
        limit = self._watch.limit >> 10
        if self._worker is None or not self._watch.replace():
            return 1
        self._worker.overlap.settle()
        return max(limit + 1, resident() >> 10)
