"""The gateway as a separate process, and its CPU time during a run."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

from ops.bench.posting import Run
from ops.bench.private_redis import wait_until
from ops.bench.processes import end
from workers.embedded.ports import free_port
from workers.embedded.stack import command
from workers.settings.settings import Settings


class Measured(msgspec.Struct, frozen=True):
    """A run and the CPU load of the gateway: ``cpu``: seconds of CPU used per second. ``kept_waiting``:
    seconds per second in which it waited for a core; if it is high, the latencies show the machine, not the gateway.
    """

    run: Run
    cpu: float
    kept_waiting: float

    def __str__(self) -> str:
        return f"{self.run}; gateway: {self.cpu:.2f} of a core, kept waiting for it {self.kept_waiting:.2f}"


def measured(gateway: int, run: Callable[[], Coroutine[None, None, Run]]) -> Measured:
    """Execute a run, and measure the CPU time of the gateway with this pid."""
    began, before = time.perf_counter(), _spent(gateway)
    done = asyncio.run(run())
    lasted = time.perf_counter() - began
    cpu, waited = ((after - b) / lasted for after, b in zip(_spent(gateway), before, strict=True))
    return Measured(done, round(cpu, 3), round(waited, 3))


def _spent(pid: int) -> tuple[float, float]:
    """CPU seconds that a process used, and seconds that its main thread waited for a core."""
    used = psutil.Process(pid).cpu_times()
    waited = Path(f"/proc/{pid}/schedstat").read_text().split()[1]
    return used.user + used.system, int(waited) / 1e9


@contextmanager
def gateway(settings: Settings, core: int | None = None) -> Iterator[tuple[int, int]]:
    """Run a gateway on a free port, on one core if given. Yields its pid and port."""
    port = free_port(8080)
    settings = settings.model_copy(update={"gateway_port": port})
    process = subprocess.Popen(command("gateway"), env=settings.process_environment())
    if core is not None:
        os.sched_setaffinity(process.pid, {core})
    try:
        wait_until(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2).status == 200)
        yield process.pid, port
    finally:
        process.send_signal(signal.SIGTERM)
        end(process, 15)
