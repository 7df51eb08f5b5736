"""CPU time and memory of the processes of a stack, by service.

A service is a process of ``run/stack.json`` with all its descendants, so an embedding worker includes the processes
that decode for it. ``supervisor`` is the process of ``wildtag up``.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

SUPERVISOR = "supervisor"
EMBEDDING = "worker-embedding"
_PAGE = 4096

Services = dict[str, list[psutil.Process]]


def services_of(supervisor: int, pids: Mapping[str, int]) -> Services:
    """The living processes of each service, those of ``pids`` first."""
    above = psutil.Process(supervisor)
    found: Services = {SUPERVISOR: [above]}
    known = {supervisor}
    for name, pid in pids.items():
        try:
            first = psutil.Process(pid)
            found[name] = [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:  # it is being restarted
            continue
        known |= {process.pid for process in found[name]}
    # such as the process that starts the others
    found[SUPERVISOR] += [process for process in above.children(recursive=True) if process.pid not in known]
    return found


def cpu_seconds(services: Services) -> dict[str, float]:
    """CPU seconds of each service so far: user and system, with those of children that have ended."""
    found = {}
    for name, processes in services.items():
        total = 0.0
        for process in processes:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system + times.children_user + times.children_system
        found[name] = total
    return found


@dataclass(frozen=True)
class Memory:
    """Memory of a service in MB (1,000,000 bytes): its proportional set size, in which shared pages are divided.

    ``own``: without pages of files, which the kernel may take back. Where the kernel does not permit to read the
    proportional set size of a process, both are its resident memory, which is larger.
    """

    pss: float
    own: float


def memory_of(services: Services) -> dict[str, Memory]:
    """The memory of each service."""
    return {name: _memory(processes) for name, processes in services.items()}


def _memory(processes: Sequence[psutil.Process]) -> Memory:
    pss = own = 0
    for process in processes:
        try:
            figures = _rollup(process.pid)
        except (FileNotFoundError, ProcessLookupError):  # it has ended
            continue
        pss += figures["Pss"]
        own += figures["Pss"] - figures["Pss_File"]
    return Memory(round(pss / 1e6, 1), round(own / 1e6, 1))


def _rollup(pid: int) -> dict[str, int]:
    """Bytes."""
    folder = Path("/proc", str(pid))
    try:
        lines = (folder / "smaps_rollup").read_text().splitlines()
    except PermissionError:
        return {"Pss": int((folder / "statm").read_text().split()[1]) * _PAGE, "Pss_File": 0}
    fields = dict(line.split(":", 1) for line in lines[1:])
    return {name: int(fields[name].split()[0]) * 1024 for name in ("Pss", "Pss_File")}


def end(process: subprocess.Popen[Any], seconds: float) -> None:
    """Wait for a process that was told to end; kill it after ``seconds``. What was measured is not lost by it."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        print(f"process {process.pid} did not end within {seconds:.0f} s and is killed", file=sys.stderr, flush=True)
        process.kill()
        process.wait()
