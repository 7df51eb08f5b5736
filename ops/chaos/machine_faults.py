"""Faults of the machine: a full disk, no memory, no file descriptors, no processor time."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from contextlib import suppress

import psutil

from ops.chaos.fault import Fault
from ops.chaos.world import CLOCKED, TEMPORARY

_ROOM = 4 * 2**20  # bytes of memory that a process may still take
_HOURS = 5  # a clock jumps by at most so many
_BUSY = "import os\nwhile True: pass"


class DiskFull(Fault):
    """The disk of the home is full: captions, indexes, logs. Only for a home on disks of its own (``--disk``)."""

    folder = "."

    def begin(self) -> None:
        """Fill it."""
        self.victim = self.folder
        self._filler = self.world.home / self.folder / ".filler"
        with self._filler.open("wb") as opened, suppress(OSError):
            while True:
                opened.write(bytes(2**20))
                opened.flush()

    def mend(self) -> None:
        """Free it."""
        self._filler.unlink(missing_ok=True)


class DiskFullRedis(DiskFull):
    """The disk of Redis is full: it refuses writes."""

    folder = "own-redis"


class DiskFullBucket(DiskFull):
    """The disk of the bucket is full: uploads are refused, and files are not written."""

    folder = "inbox"


class DiskFullTemporary(DiskFull):
    """The disk of temporary files is full: large uploads are refused."""

    folder = TEMPORARY


class ClockJumps(Fault):
    """The wall clock of one service jumps by hours, and back. The next one concerns another service."""

    def begin(self) -> None:
        """Set it."""
        hours = 1 + int(self.chance * 2 * _HOURS) % _HOURS
        jumped = self.world.jumped
        seldom = [name for name in CLOCKED if jumped[name] == min(jumped[one] for one in CLOCKED)]
        self.victim = seldom[int(self.chance * len(seldom))]
        jumped[self.victim] += 1
        self.world.set_clock(self.victim, f"{'+' if self.chance < 0.5 else '-'}{hours}h")

    def mend(self) -> None:
        """Set it right."""
        self.world.set_clock(self.victim, "+0")


class Limited(Fault):
    """A service's processes get a limit that they have nearly reached. They keep it until it is taken away."""

    limit = resource.RLIMIT_AS

    def begin(self) -> None:
        """Set it."""
        self._before: list[tuple[int, tuple[int, int]]] = []
        for process in self.chosen():
            with suppress(OSError, psutil.Error):
                before = resource.prlimit(process.pid, self.limit)
                self._before.append((process.pid, before))
                resource.prlimit(process.pid, self.limit, (self.allowed(process), before[1]))

    def mend(self) -> None:
        """Take it away."""
        for pid, before in self._before:
            with suppress(OSError):
                resource.prlimit(pid, self.limit, before)

    def allowed(self, process: psutil.Process) -> int:
        """The limit for this process."""
        return int(process.memory_info().vms) + _ROOM


class NoMemory(Limited):
    """A service gets no more memory: allocations fail."""


class NoDescriptors(Limited):
    """A service cannot open files or connections."""

    limit = resource.RLIMIT_NOFILE

    def allowed(self, process: psutil.Process) -> int:
        """As many as are open."""
        return int(process.num_fds())


class Starved(Fault):
    """Others take the processors: four busy processes a core, at a higher priority where that is allowed."""

    def begin(self) -> None:
        """Start them."""
        count = 4 * (os.cpu_count() or 1)
        self._busy = [subprocess.Popen([sys.executable, "-I", "-S", "-c", _BUSY]) for _ in range(count)]
        for one in self._busy:
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, one.pid, -5)

    def mend(self) -> None:
        """End them."""
        for one in self._busy:
            one.kill()
            one.wait()
