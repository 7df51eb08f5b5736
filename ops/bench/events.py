"""Throughput and latency of webhook events: the gateway on one core, with its own Redis."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

from ops.bench.gateway_process import Measured, gateway, measured
from ops.bench.posting import TOKEN, notification, offered
from ops.bench.private_redis import private_redis
from vectordb.errors import Permanent
from workers.settings.settings import Settings

PACKAGES = ("fastapi", "starlette", "uvicorn", "httptools", "redis", "msgspec")
TARGET_RATE = 1000  # events per second
TARGET_P99_MS = 50.0


class Machine(msgspec.Struct, frozen=True):
    """The conditions of the figures."""

    processor: str
    cores: int
    load: tuple[float, float, float]
    python: str
    redis: str
    packages: dict[str, str]


class Report(msgspec.Struct, frozen=True):
    """``fixed``: at a constant rate; ``saturated``: each connection sends as fast as possible."""

    machine: Machine
    connections: int
    fixed: Measured
    saturated: Measured
    stored: int
    reached: bool


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench events", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--rate", type=int, default=TARGET_RATE, help="events per second of the fixed run (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds", type=float, default=15.0, help="duration of each run in seconds (default: %(default)s)"
    )
    parser.add_argument("--connections", type=int, default=64, help="keep-alive connections (default: %(default)s)")
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
    print(f"{report.stored} events stored in Redis; target {TARGET_RATE}/s, p99 {TARGET_P99_MS:.0f} ms: "
          f"{'reached' if report.reached else 'missed'}")  # fmt: skip


def measure(rate: int, seconds: float, connections: int) -> Report:
    """Both runs against one gateway. The sender uses the other cores, if there are any."""
    cores = sorted(os.sched_getaffinity(0))
    load = os.getloadavg()
    # not in TMPDIR, because the path of a socket must be short
    with (
        tempfile.TemporaryDirectory(prefix="wt-", dir="/tmp") as folder,
        private_redis(Path(folder)) as (client, url),
    ):
        settings = Settings(home=Path(folder), redis_url=url, bucket="images", webhook_token=TOKEN)
        settings.inbox_folder.mkdir()  # without it the gateway is not ready
        # Redis and this process use the other cores
        with gateway(settings, core=cores[0]) as (process, port):
            os.sched_setaffinity(0, cores[1:] or cores)
            fixed = measured(process, lambda: offered(port, rate, seconds, connections, notification, b"200"))
            saturated = measured(process, lambda: offered(port, None, seconds, connections, notification, b"200"))
            stored = int(client.xlen("wildtag:inbox"))
        packages = {name: version(name) for name in PACKAGES}
        server = str(client.info("server")["redis_version"])
    accepted = fixed.run.accepted + saturated.run.accepted
    if stored < accepted:
        raise Permanent(f"{accepted} events were accepted, but only {stored} are stored in Redis")
    run = fixed.run
    return Report(
        Machine(_processor(), len(cores), load, platform.python_version(), server, packages),
        connections, fixed, saturated, stored,
        reached=run.per_second >= TARGET_RATE * 0.99 and run.p99_ms <= TARGET_P99_MS and not run.refused,
    )  # fmt: skip


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or sys.platform
