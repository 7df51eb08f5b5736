"""CPU time and memory of the processes of a stack, by service.

A service is a process of ``run/stack.json`` with all its descendants, so an embedding worker includes the processes
that decode for it. ``supervisor`` is the process of ``wildtag up``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

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


def pss(services: Services) -> dict[str, float]:
    """Memory of each service in MB (1,000,000 bytes): its proportional set size, in which shared pages are divided.

    Where the kernel does not permit to read it, the resident memory is taken, which is larger.
    """
    found = {}
    for name, processes in services.items():
        total = 0
        for process in processes:
            try:
                total += _pss(process.pid)
            except (FileNotFoundError, ProcessLookupError):  # it has ended
                continue
        found[name] = total / 1e6
    return found


def _pss(pid: int) -> int:
    """Bytes."""
    folder = Path("/proc", str(pid))
    try:
        lines = (folder / "smaps_rollup").read_text().splitlines()
    except PermissionError:
        return int((folder / "statm").read_text().split()[1]) * _PAGE
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
