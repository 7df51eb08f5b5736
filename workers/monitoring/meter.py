"""What this process counts itself: counters and histograms of prometheus_client in its multiprocess mode.

As a logger, ``METER`` is there for every module. It counts nothing, and imports nothing, until a process says where
(``Meter.begin``): commands and tests measure nothing.

Each process writes files of its own in one folder, which ``workers.monitoring.metrics_folder`` reads. A process that
is forked begins with files of its own when it counts for the first time.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from workers.monitoring.metric import Metric
from workers.supervision.os_processes import look_up

log = structlog.get_logger()

PAUSE_S = 60.0  # after a disk was full


def identity() -> str:
    """Names this process, and no other since the machine was started: pid and start time."""
    found = look_up(os.getpid())
    return f"{os.getpid()}-{found.identity.started if found else 0}"


class Meter:
    """Counts for one process. Thread-safe, and in another way after a fork: see the module. Raises nothing."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._files: Any = None  # ``workers.monitoring.value_files``, which is imported when it is needed
        self._hooked = False
        self._clear()

    def _clear(self) -> None:
        self._lock = threading.Lock()  # after a fork the old one may be held by a thread that is not there
        self._identity = ""
        self._instruments: dict[str, Any] = {}
        self._series: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._paused_until = 0.0

    @property
    def folder(self) -> Path | None:
        """Where this process counts; ``None`` if it does not."""
        return self._folder

    @property
    def active(self) -> bool:
        """Whether anything is counted."""
        return self._folder is not None

    def begin(self, folder: Path) -> None:
        """Count in files in this folder, which is created."""
        from workers.monitoring import value_files  # noqa: PLC0415 -- here, so that forked processes share its memory

        self.end()
        # the library reads the folder from here, when it opens a file
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        self._folder, self._files = folder, value_files
        if not self._hooked:
            os.register_at_fork(after_in_child=self._forked)
            self._hooked = True

    def end(self) -> None:
        """Count no more. What was counted stays in the folder."""
        if self._folder is not None:
            self._folder = None
            self._forget()

    def count(self, metric: Metric, amount: float = 1.0, *labels: str) -> None:
        """Add to a counter. ``labels``: one value for each label, in the metric's order."""
        if self._folder is not None and (series := self._found(metric, labels)) is not None:
            try:
                series.inc(amount)
            except (TypeError, ValueError) as exc:
                self._reopen(exc)

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """Add a value to a histogram."""
        if self._folder is not None and (series := self._found(metric, labels)) is not None:
            try:
                series.observe(value)
            except (TypeError, ValueError) as exc:
                self._reopen(exc)

    def prepare(self, metric: Metric, *labels: str) -> None:
        """Expose a series, which is 0, before anything is counted."""
        if self._folder is not None:
            self._found(metric, labels)

    @contextmanager
    def timed(self, metric: Metric, *labels: str) -> Iterator[None]:
        """Add the seconds that the block takes to a histogram, if it raises nothing."""
        began = time.perf_counter()
        yield
        self.observe(metric, time.perf_counter() - began, *labels)

    def _reopen(self, exc: Exception) -> None:
        """Its file was closed meanwhile, for which the library has no name: what is counted next opens it again."""
        log.warning("not counted", reason=str(exc))
        self._clear()

    def _found(self, metric: Metric, labels: tuple[str, ...]) -> Any:
        return self._series.get((metric.name, labels)) or self._made(metric, labels)

    def _made(self, metric: Metric, labels: tuple[str, ...]) -> Any:
        with self._lock:
            if (known := self._series.get((metric.name, labels))) is not None:
                return known
            if self._folder is None or time.monotonic() < self._paused_until:
                return None
            try:
                if not self._identity:
                    self._identity = identity()
                    self._files.begin(self._identity)
                self._files.make_room(self._folder / f"{metric.kind}_{self._identity}.db")
                if metric.name not in self._instruments:
                    self._instruments[metric.name] = self._files.instrument(metric)
                one = self._instruments[metric.name]
                series = one.labels(*labels) if metric.labels else one
            except OSError as exc:  # a full disk: the work goes on uncounted
                self._paused_until = time.monotonic() + PAUSE_S
                log.warning("not counted", metric=metric.name, reason=str(exc), again_after_s=PAUSE_S)
                return None
            self._series[metric.name, labels] = series
            return series

    def _forked(self) -> None:
        """In a process that was forked: it must not write into the files of its parent."""
        if self._folder is not None:
            self._forget()

    def _forget(self) -> None:
        self._files.end()
        self._clear()


METER = Meter()
"""That of this process."""
