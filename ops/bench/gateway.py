"""What the gateway takes: uploads a second, its memory over many, event streams, and one image on an idle stack.

The first three run the real gateway over a Redis of its own and a folder, with no worker behind it; the last one the
whole embedded stack.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
from PIL import Image

from ops.bench.gateway_process import Measured, gateway, measured
from ops.bench.machine import machine, versions
from ops.bench.posting import offered, upload
from ops.bench.private_redis import private_redis, wait_until
from ops.bench.watched import memory
from tasks.messages import ObjectRef, Revision
from workers.embedded.stack import command, free_port
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Record
from workers.redis.keys import Keys
from workers.settings.settings import Settings
from workers.supervision.supervisor import read_stack

SIZE = 100_000  # bytes of an uploaded image
TARGET_RATE = 500  # uploads a second
TARGET_P99_MS = 100.0
TARGET_STREAMS = 200
TARGET_OVERHEAD_MS = 60.0
FLAT = 1.1  # how much memory may grow between the first thousand uploads and the last
SETTLED = 1000  # uploads after which memory is looked at first


class Memory(msgspec.Struct, frozen=True):
    """Resident MB of the gateway's process after some uploads and after all of them."""

    uploads: int
    before: float
    after: float


class Streams(msgspec.Struct, frozen=True):
    """Event streams at once, and the milliseconds from a record to the last of them that heard of it."""

    open: int
    told: int
    p50_ms: float
    worst_ms: float


class Idle(msgspec.Struct, frozen=True):
    """One image on an idle stack, in milliseconds: from the first byte to the record; the encoder's share of it."""

    images: int
    upload_to_record_p50: float
    encoder_p50: float
    overhead_p50: float


class Report(msgspec.Struct, frozen=True):
    """``disk_p99_ms``: what writing and syncing one such file takes here, which no upload can do without."""

    machine: dict[str, Any]
    versions: dict[str, str]
    disk_p99_ms: float
    fixed: Measured
    saturated: Measured
    memory: Memory
    streams: Streams
    idle: Idle | None
    reached: dict[str, bool]


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench gateway", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--rate", type=int, default=TARGET_RATE, help="uploads a second at the fixed rate")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the fixed run; the other one is half as long")
    parser.add_argument("--connections", type=int, default=16, help="kept alive, each with one upload at a time")
    parser.add_argument("--streams", type=int, default=TARGET_STREAMS, help="event streams at once")
    parser.add_argument("--images", type=int, default=50, help="on the idle stack; 0 leaves it out")
    parser.add_argument("--home", type=Path, help="of the stack; one that has captions starts sooner")
    chosen = parser.parse_args(arguments)
    report = measure(chosen)
    print(msgspec.json.encode(report).decode() if chosen.json else _text(report))


def measure(chosen: argparse.Namespace) -> Report:
    """All parts, one after the other."""
    conditions = machine()
    # a socket's path must be short, so not where TMPDIR may be
    with (
        tempfile.TemporaryDirectory(prefix="wt-", dir="/tmp") as folder,
        private_redis(Path(folder)) as (client, url),
    ):
        home = Path(folder)
        (home / "inbox").mkdir()
        disk = _disk(home)
        settings = Settings(home=home, redis_url=url, backlog_max=10_000_000, uploads_max=chosen.connections * 2)
        sending = upload(picture(0))
        with gateway(settings) as (process, port):
            asyncio.run(offered(port, None, 3, 4, sending, b"202"))  # at least as many as memory is compared with
            before = memory(process)["resident"]
            warm = int(client.xlen("wildtag:inbox"))
            seconds, connections = chosen.seconds, chosen.connections
            fixed = measured(process, lambda: offered(port, chosen.rate, seconds, connections, sending, b"202"))
            saturated = measured(process, lambda: offered(port, None, seconds / 2, connections, sending, b"202"))
            uploads = warm + fixed.run.accepted + saturated.run.accepted
            seen = Memory(uploads, before, memory(process)["resident"])
            streams = asyncio.run(_streams(port, chosen.streams, Ledger(client, Keys("wildtag:"), 10_000)))
    idle = _idle(chosen.home, chosen.images) if chosen.images else None
    reached = {
        "rate": fixed.run.per_second >= chosen.rate * 0.99 and not fixed.run.refused,
        "p99": fixed.run.p99_ms <= TARGET_P99_MS,
        "memory": seen.after <= seen.before * FLAT,
        "streams": streams.told == streams.open >= TARGET_STREAMS,
    }
    if idle is not None:
        reached["latency"] = idle.overhead_p50 <= TARGET_OVERHEAD_MS
    return Report(conditions, versions(), disk, fixed, saturated, seen, streams, idle, reached)


def picture(seed: int) -> bytes:
    """A JPEG of exactly ``SIZE`` bytes: noise, and behind the image what decoders leave alone."""
    noise = np.random.default_rng(seed).integers(0, 256, (150, 200, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG", quality=80)
    return file.getvalue().ljust(SIZE, b"\0")


def _disk(folder: Path) -> float:
    """The 99th percentile of writing and syncing one file, in milliseconds, one after the other."""
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
    """Open streams, write some records, and see when each stream has told of them."""
    rounds = 5
    took: list[float] = []
    limits = httpx.Limits(max_connections=count + 10)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=limits, timeout=30) as client:
        opened, heard = asyncio.Semaphore(0), asyncio.Semaphore(0)

        async def listen() -> None:
            async with client.stream("GET", "/v1/feed") as answer:
                begun = False
                async for line in answer.aiter_lines():
                    if line.startswith("id:") and not begun:  # where it stands: from here on it misses nothing
                        begun = True
                        opened.release()
                    elif line.startswith("data:"):
                        heard.release()

        listeners = [asyncio.create_task(listen()) for _ in range(count)]
        for _ in range(count):
            await asyncio.wait_for(opened.acquire(), 30)
        told = 0
        for number in range(rounds):
            began = time.perf_counter()
            await asyncio.to_thread(_record, ledger, number)
            for _ in range(count):
                await asyncio.wait_for(heard.acquire(), 30)
                told += 1
            took.append((time.perf_counter() - began) * 1000)
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)
    return Streams(count, told // rounds, round(statistics.median(took), 1), round(max(took), 1))


def _record(ledger: Ledger, number: int) -> None:
    """One object from its acceptance to its record."""
    ref, revision = ObjectRef("inbox", f"bench/{number}.jpg", f"{number}"), Revision("bench", "bench@1")
    now = time.time()
    ledger.enter([Arrival(ref)], revision, now, now + 60)
    ledger.finish([Record(bucket=ref.bucket, key=ref.key, etag=ref.etag, state="done", space_id=revision.space_id,
                          captions_version=revision.captions_version, finished_at=now)], now)  # fmt: skip


def _idle(home: Path | None, images: int) -> Idle:
    """One photograph after the other through the whole stack; the encoder's own time is what the records say."""
    from skimage import data  # noqa: PLC0415 -- heavy, and only here

    file = io.BytesIO()
    Image.fromarray(data.chelsea()).save(file, "JPEG", quality=90)  # type: ignore[no-untyped-call]  # scikit-image has no types
    whole, encoder = [], []
    with (
        tempfile.TemporaryDirectory(prefix="wt-", dir="/tmp") as folder,
        _stack(home or Path(folder)) as address,
        httpx.Client(base_url=address, timeout=60) as client,
    ):
        for number in range(images + 5):
            began = time.perf_counter()
            # other bytes each time, as other photographs are
            answer = client.post("/v1/images", params={"wait": 30}, content=file.getvalue() + bytes([number]))
            took = (time.perf_counter() - began) * 1000
            record = answer.raise_for_status().json()["record"]
            client.delete(f"/v1/images/{answer.json()['id']}").raise_for_status()
            if number >= 5:  # the first ones find models and caches cold
                whole.append(took)
                encoder.append(record["timings_ms"]["embedding"])
            time.sleep(0.2)
    over = [w - e for w, e in zip(whole, encoder, strict=True)]
    p50 = [round(statistics.median(values), 1) for values in (whole, encoder, over)]
    return Idle(images, *p50)


@contextmanager
def _stack(home: Path) -> Iterator[str]:
    settings = Settings(home=home, gateway_port=free_port(8080))
    with (home / "up.log").open("ab") as log:
        process = subprocess.Popen(command("up"), env=settings.process_environment(), stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 300
            while (info := read_stack(home)) is None and time.monotonic() < deadline and process.poll() is None:
                time.sleep(0.2)
            assert info is not None, (home / "up.log").read_text()[-2000:]  # noqa: S101 -- nothing to measure
            address = info.addresses["gateway"]
            wait_until(lambda: httpx.get(f"{address}/readyz", timeout=5).is_success)
            yield address
        finally:
            process.terminate()
            process.wait(30)


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
            f"streams    {report.streams.told} of {report.streams.open} told; the last one after "
            f"p50 {report.streams.p50_ms} ms, worst {report.streams.worst_ms} ms"
        ),
    ]
    if report.idle is not None:
        i = report.idle
        lines.append(f"idle       upload to record p50 {i.upload_to_record_p50} ms, encoder p50 {i.encoder_p50} ms, "
                     f"above it p50 {i.overhead_p50} ms ({i.images} images)")  # fmt: skip
    lines.append(", ".join(f"{name}: {'reached' if ok else 'missed'}" for name, ok in report.reached.items()))
    return "\n".join(lines)
