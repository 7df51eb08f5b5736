"""What the receiving path takes: webhook events into the real gateway on one core, over a Redis of its own."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import msgspec

from ops.bench.posting import TOKEN, Run, offered
from ops.bench.private_redis import private_redis, wait_until
from vectordb.errors import Permanent
from workers.settings import Settings
from workers.stack import command, free_port

PACKAGES = ("fastapi", "starlette", "uvicorn", "httptools", "redis", "msgspec")
TARGET_RATE = 1000  # events a second
TARGET_P99_MS = 50.0


class Machine(msgspec.Struct, frozen=True):
    """The conditions of the figures."""

    processor: str
    cores: int
    load: tuple[float, float, float]
    python: str
    redis: str
    packages: dict[str, str]


class Measured(msgspec.Struct, frozen=True):
    """A run and what it cost the gateway, in seconds a second: ``cpu`` that it used, and ``kept_waiting``, in which
    it had something to do and others had its core. Latencies of a gateway that was kept waiting are the machine's.
    """

    run: Run
    cpu: float
    kept_waiting: float

    def __str__(self) -> str:
        return f"{self.run}; gateway: {self.cpu:.2f} of a core, kept waiting for it {self.kept_waiting:.2f}"


class Report(msgspec.Struct, frozen=True):
    """``fixed``: at a rate that was offered; ``saturated``: every connection sends as soon as it may."""

    machine: Machine
    connections: int
    fixed: Measured
    saturated: Measured
    stored: int
    reached: bool


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench events", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--rate", type=int, default=TARGET_RATE, help="events a second at the fixed rate")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each of the two runs")
    parser.add_argument("--connections", type=int, default=64, help="kept alive, as a server with many threads does")
    chosen = parser.parse_args(arguments)
    report = measure(chosen.rate, chosen.seconds, chosen.connections)
    if chosen.json:
        print(msgspec.json.encode(report).decode())
        return
    m = report.machine
    print(f"{m.processor}, {m.cores} cores, load {m.load}, Python {m.python}, Redis {m.redis}")
    print(", ".join(f"{name} {number}" for name, number in m.packages.items()))
    print(f"fixed      {report.fixed}")
    print(f"saturated  {report.saturated}")
    print(f"{report.stored} events are in Redis; target {TARGET_RATE}/s, p99 {TARGET_P99_MS:.0f} ms: "
          f"{'reached' if report.reached else 'missed'}")  # fmt: skip


def measure(rate: int, seconds: float, connections: int) -> Report:
    """Both runs against one gateway. The sender has the other cores, as far as there are any."""
    cores = sorted(os.sched_getaffinity(0))
    load = os.getloadavg()
    # a socket's path must be short, so not where TMPDIR may be
    with (
        tempfile.TemporaryDirectory(prefix="wt-", dir="/tmp") as folder,
        private_redis(Path(folder)) as (client, url),
    ):
        port = free_port(8080)
        # the Redis and this process run where the gateway does not
        with _gateway(Path(folder), url, port, core=cores[0]) as process:
            os.sched_setaffinity(0, cores[1:] or cores)
            fixed = _measured(process, lambda: offered("127.0.0.1", port, rate, seconds, connections))
            saturated = _measured(process, lambda: offered("127.0.0.1", port, None, seconds, connections))
            stored = int(client.xlen("wildtag:inbox"))
        packages = {name: version(name) for name in PACKAGES}
        server = str(client.info("server")["redis_version"])
    accepted = fixed.run.accepted + saturated.run.accepted
    if stored < accepted:
        raise Permanent(f"{accepted} events were accepted and only {stored} are in Redis")
    run = fixed.run
    return Report(
        Machine(_processor(), len(cores), load, platform.python_version(), server, packages),
        connections, fixed, saturated, stored,
        reached=run.per_second >= TARGET_RATE * 0.99 and run.p99_ms <= TARGET_P99_MS and not run.refused,
    )  # fmt: skip


def _measured(gateway: int, run: Callable[[], Coroutine[None, None, Run]]) -> Measured:
    began, before = time.perf_counter(), _spent(gateway)
    done = asyncio.run(run())
    lasted = time.perf_counter() - began
    cpu, waited = ((after - b) / lasted for after, b in zip(_spent(gateway), before, strict=True))
    return Measured(done, round(cpu, 3), round(waited, 3))


def _spent(pid: int) -> tuple[float, float]:
    """Seconds of CPU that a process's main thread used, and for which it waited for a core."""
    used, waited, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    return int(used) / 1e9, int(waited) / 1e9


@contextmanager
def _gateway(home: Path, url: str, port: int, core: int) -> Iterator[int]:
    settings = Settings(home=home, redis_url=url, bucket="images", gateway_port=port, webhook_token=TOKEN)
    process = subprocess.Popen(command("gateway"), env=settings.process_environment())
    os.sched_setaffinity(process.pid, {core})
    try:
        wait_until(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2).status == 200)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or sys.platform
