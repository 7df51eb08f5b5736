"""Performance of the gateway alone: upload throughput, memory and event streams.

It has its own Redis and a folder, and no workers: ``ops.bench.latency`` measures one image through the whole stack.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
from PIL import Image

from ops.bench.gateway_process import Measured, gateway, measured
from ops.bench.machine import machine, versions
from ops.bench.posting import offered, upload
from ops.bench.private_redis import private_redis
from ops.bench.watched import memory
from tasks.message_parts import ObjectRef, Revision
from vectordb.proxies import httpx_options
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Record
from workers.redis.keys import Keys
from workers.settings.settings import Settings

SIZE = 100_000  # bytes of an uploaded image
TARGET_RATE = 500  # uploads per second
TARGET_P99_MS = 100.0
TARGET_STREAMS = 200
FLAT = 1.1  # allowed growth of memory between the first thousand uploads and the last
SETTLED = 1000  # uploads before the first measurement of memory


class Memory(msgspec.Struct, frozen=True):
    """Resident memory of the gateway in MB after some uploads and after all."""

    uploads: int
    before: float
    after: float


class Streams(msgspec.Struct, frozen=True):
    """Concurrent event streams, and milliseconds from a record until all of them received it."""

    open: int
    notified: int
    p50_ms: float
    worst_ms: float


class Report(msgspec.Struct, frozen=True):
    """All figures. ``disk_p99_ms``: time to write and sync one such file, the lower limit of an upload."""

    machine: dict[str, Any]
    versions: dict[str, str]
    disk_p99_ms: float
    fixed: Measured
    saturated: Measured
    memory: Memory
    streams: Streams
    reached: dict[str, bool]


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench gateway", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--rate", type=int, default=TARGET_RATE, help="uploads per second of the fixed run (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=20.0,
        help="duration of the fixed run; the saturated run takes half of it (default: %(default)s)",
    )
    parser.add_argument(
        "--connections",
        type=int,
        default=16,
        help="keep-alive connections, each with one upload at a time (default: %(default)s)",
    )
    parser.add_argument(
        "--streams", type=int, default=TARGET_STREAMS, help="concurrent event streams (default: %(default)s)"
    )
    chosen = parser.parse_args(arguments)
    report = measure(chosen)
    print(msgspec.json.encode(report).decode() if chosen.json else _text(report))


def measure(chosen: argparse.Namespace) -> Report:
    """Measure all parts, one after the other."""
    conditions = machine()
    # not in TMPDIR, because the path of a socket must be short
    with (
        tempfile.TemporaryDirectory(prefix="wt-", dir="/tmp") as folder,
        private_redis(Path(folder)) as (client, url),
    ):
        home = Path(folder)
        (home / "inbox").mkdir()
        disk = _disk(home)
        settings = Settings(
            home=home, redis_url=url, backlog_max=10_000_000, uploads_max=chosen.connections * 2, request_rate=0
        )
        sending = upload(picture(0))
        with gateway(settings) as (process, port):
            asyncio.run(
                offered(port, None, 3, 4, sending, b"202")
            )  # at least as many as the memory is compared after
            before = memory(process)["resident"]
            warm = int(client.xlen("wildtag:inbox"))
            seconds, connections = chosen.seconds, chosen.connections
            fixed = measured(process, lambda: offered(port, chosen.rate, seconds, connections, sending, b"202"))
            saturated = measured(process, lambda: offered(port, None, seconds / 2, connections, sending, b"202"))
            uploads = warm + fixed.run.accepted + saturated.run.accepted
            seen = Memory(uploads, before, memory(process)["resident"])
            streams = asyncio.run(_streams(port, chosen.streams, Ledger(client, Keys("wildtag:"), 10_000)))
    reached = {
        "rate": fixed.run.per_second >= chosen.rate * 0.99 and not fixed.run.refused,
        "p99": fixed.run.p99_ms <= TARGET_P99_MS,
        "memory": seen.after <= seen.before * FLAT,
        "streams": streams.notified == streams.open >= TARGET_STREAMS,
    }
    return Report(conditions, versions(), disk, fixed, saturated, seen, streams, reached)


def picture(seed: int) -> bytes:
    """A JPEG of exactly ``SIZE`` bytes: noise, padded behind the image with bytes that decoders ignore."""
    noise = np.random.default_rng(seed).integers(0, 256, (150, 200, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG", quality=80)
    return file.getvalue().ljust(SIZE, b"\0")


def _disk(folder: Path) -> float:
    """The 99th percentile of writing and syncing one file, in milliseconds."""
    data, took = picture(0), []
    for number in range(300):
        began = time.perf_counter()
        with (folder / f"probe-{number % 10}").open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        took.append((time.perf_counter() - began) * 1000)
    return round(statistics.quantiles(took, n=100)[-1], 2)


async def _streams(port: int, count: int, ledger: Ledger) -> Streams:
    """Open streams, write some records, and measure when each stream has sent them."""
    rounds = 5
    took: list[float] = []
    limits = httpx.Limits(max_connections=count + 10)
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30, **httpx_options(url)) as client:
        opened, heard = asyncio.Semaphore(0), asyncio.Semaphore(0)

        async def listen() -> None:
            async with client.stream("GET", "/v1/feed") as answer:
                begun = False
                async for line in answer.aiter_lines():
                    if line.startswith("id:") and not begun:  # its position: it misses nothing from here on
                        begun = True
                        opened.release()
                    elif line.startswith("data:"):
                        heard.release()

        listeners = [asyncio.create_task(listen()) for _ in range(count)]
        for _ in range(count):
            await asyncio.wait_for(opened.acquire(), 30)
        notified = 0
        for number in range(rounds):
            began = time.perf_counter()
            await asyncio.to_thread(_record, ledger, number)
            for _ in range(count):
                await asyncio.wait_for(heard.acquire(), 30)
                notified += 1
            took.append((time.perf_counter() - began) * 1000)
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)
    return Streams(count, notified // rounds, round(statistics.median(took), 1), round(max(took), 1))


def _record(ledger: Ledger, number: int) -> None:
    """One object from its acceptance to its record."""
    ref, revision = ObjectRef("inbox", f"bench/{number}.jpg", f"{number}"), Revision("bench", "bench@1")
    now = time.time()
    ledger.enter([Arrival(ref)], revision, now, now + 60)
    ledger.finish([Record(bucket=ref.bucket, key=ref.key, etag=ref.etag, state="done", space_id=revision.space_id,
                          captions_version=revision.captions_version, finished_at=now)], now)  # fmt: skip


def _text(report: Report) -> str:
    m, v = report.machine, report.versions
    lines = [
        f"{m['cpu']}, {m['cores']} cores, load {m['load']}, Python {v['python']}, commit {v['commit']}",
        f"writing and syncing one file of {SIZE:,} bytes: p99 {report.disk_p99_ms} ms",
        f"fixed      {report.fixed}",
        f"saturated  {report.saturated}",
        (
            f"memory     {report.memory.before:.0f} MB after the first uploads, {report.memory.after:.0f} MB after "
            f"{report.memory.uploads:,}"
        ),
        (
            f"streams    {report.streams.notified} of {report.streams.open} notified; the last one after "
            f"p50 {report.streams.p50_ms} ms, worst {report.streams.worst_ms} ms"
        ),
    ]
    lines.append(", ".join(f"{name}: {'reached' if ok else 'missed'}" for name, ok in report.reached.items()))
    return "\n".join(lines)
