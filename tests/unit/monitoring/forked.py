"""Processes for tests of metrics: forked, since that is how workers and their children come to be."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from workers.monitoring.metrics_folder import MetricsFolder


def forked(call: Callable[[], object], end: Callable[[], object] = lambda: os._exit(0)) -> int:
    """Call this in a process that then ends by ``end``. Returns its pid, when it has ended."""
    pid = os.fork()
    if not pid:
        try:
            call()
            end()
        finally:
            os._exit(1)
    os.waitpid(pid, 0)
    return pid


def killed() -> None:
    """End as a process does that the kernel kills."""
    os.kill(os.getpid(), signal.SIGKILL)


def samples(folder: Path) -> dict[str, float]:
    """What a scrape shows, by name and the values of its labels."""
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for metric in MetricsFolder(folder).collect()
        for sample in metric.samples
    }
