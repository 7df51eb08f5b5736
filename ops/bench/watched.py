"""Run a measurement in a child process, and watch its memory from outside.

The index holds the GIL during a whole build, so a thread in the same process could not measure it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vectordb.errors import Permanent

ROOT = Path(__file__).parents[2]
INTERVAL = 0.05  # seconds between two looks
FIELDS = {"VmRSS": "resident", "RssAnon": "anonymous", "RssFile": "file"}


class Clock:
    """Wall time and CPU time of all threads of the process, in seconds since it was created.

    The second hardly depends on what else the machine does.
    """

    def __init__(self) -> None:
        self._begun = time.perf_counter(), time.process_time()

    def seconds(self) -> dict[str, float]:
        """The times as a dictionary for JSON."""
        wall, cpu = self._begun
        return {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}


class MeasurementFailed(Permanent):
    """The child process ended before it had printed all results."""


def memory(pid: int | str = "self") -> dict[str, float]:
    """Resident memory of a process in MB (1,000,000 bytes): in total, anonymous, and pages of files.

    The kernel may take pages of files back whenever it needs room; they are read again when they are needed.
    """
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return {
        name: round(int(fields[field].split()[0]) * 1024 / 1e6, 1)
        for field, name in FIELDS.items()
        if field in fields
    }


def watched(module: str, arguments: Sequence[str]) -> Iterator[tuple[dict[str, Any], dict[str, float]]]:
    """Run ``python -m module``, which prints one JSON object per line after each step.

    Gives each with the largest memory seen since the line before it. Raises ``MeasurementFailed``.
    """
    # two threads that spin would take the cores from each other; ops is not installed, so -P needs its folder named
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-P", "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        peak: dict[str, float] = {}
        done = threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, peak, done))
        watcher.start()
        try:
            assert process.stdout is not None  # noqa: S101 -- a pipe was asked for
            for line in process.stdout:
                largest = dict(peak)
                peak.clear()
                yield json.loads(line), largest
        finally:
            done.set()
            watcher.join()
            if sys.exc_info()[0] is not None:
                process.kill()
    if process.returncode:
        raise MeasurementFailed(f"{module} ended with {process.returncode}; its output is above")


def _watch(pid: int, peak: dict[str, float], done: threading.Event) -> None:
    while not done.wait(INTERVAL):
        try:
            for name, value in memory(pid).items():
                peak[name] = max(peak.get(name, 0.0), value)
        except (OSError, ProcessLookupError):
            return
