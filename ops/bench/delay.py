"""Time from the end of an upload to its record on an idle stack, for each event source.

The embedded stack uses a bucket of moto behind a fake server that sends events as MinIO does
(``ops.bench.made_up_minio``). Each phase disables one event source.
"""

from __future__ import annotations

import argparse
import io
import random
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil
from minio import Minio
from PIL import Image

from ops.bench.machine import machine, versions
from ops.bench.made_up_minio import Server, made_up_minio
from ops.bench.moto_server import moto
from ops.bench.processes import end
from ops.bench.stacks import new_home
from vectordb.errors import Permanent
from workers.embedded.ports import free_port
from workers.embedded.stack import command, running
from workers.lifecycle.record_reader import Records
from workers.settings.settings import Settings
from workers.supervision.supervisor import read_stack
from workers.wiring.wiring import Wiring

BUCKET = "photos"
PATIENCE_S = 60.0
# median and worst, in seconds
FAST, SLOW = (0.25, 0.6), (3.5, 3.5)
TARGETS = {"both": FAST, "listener broken": SLOW, "second target": FAST, "webhook broken": SLOW}

# on a free port, which it prints


class Phase(msgspec.Struct, frozen=True):
    """Seconds from the end of a PUT to its record."""

    name: str
    images: int
    median_s: float
    worst_s: float


class Away(msgspec.Struct, frozen=True):
    """The gateway was suspended for ``seconds`` while images arrived, without a listener.

    ``late``: images without a record when it continued; ``after_s``: seconds until the last of them had one.
    """

    seconds: float
    images: int
    lost: int
    late: int
    after_s: float


class Report(msgspec.Struct, frozen=True):
    """All figures. ``events``: their counts by source."""

    machine: dict[str, Any]
    versions: dict[str, str]
    phases: list[Phase]
    away: Away | None
    events: dict[str, int]
    reached: dict[str, bool]


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench delay", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--images", type=int, default=30, help="uploads per phase (default: %(default)s)")
    parser.add_argument(
        "--away", type=float, default=20.0, help="seconds to suspend the gateway; 0: skip (default: %(default)s)"
    )
    parser.add_argument("--home", type=Path, help="home whose captions are copied; else they are encoded first")
    chosen = parser.parse_args(arguments)
    report = measure(chosen.images, chosen.away, chosen.home)
    print(msgspec.json.encode(report).decode() if chosen.json else _text(report))


def measure(images: int, away_s: float, home: Path | None) -> Report:
    """All phases on one stack."""
    conditions = machine()
    with (
        new_home(home) as folder,
        moto() as upstream,
        made_up_minio(upstream, BUCKET) as server,
    ):
        Minio(upstream.removeprefix("http://"), "a", "b", secure=False, region="us-east-1").make_bucket(BUCKET)
        with _stack(folder, server) as (records, wiring):
            server.webhook = _webhook(wiring.settings.home)
            bench = Bench(server, records)
            bench.ready(wiring)
            phases = [bench.phase("both", images)]
            server.listening = "deaf"
            server.hang_up()
            phases.append(bench.phase("listener broken", images))
            server.at_once = server.webhook
            phases.append(bench.phase("second target", images))
            server.at_once = None
            server.listening = "blanks"
            server.hang_up()
            bench.ready(wiring)
            hook, server.webhook = server.webhook, None
            phases.append(bench.phase("webhook broken", images))
            server.webhook = hook
            server.listening = "deaf"
            server.hang_up()
            away = _away(bench, wiring, images, away_s) if away_s else None
            events = wiring.event_sink.counts()
    reached = {p.name: p.median_s <= TARGETS[p.name][0] and p.worst_s <= TARGETS[p.name][1] for p in phases}
    if away is not None:
        reached["gateway away"] = not away.lost
    return Report(conditions, versions(), phases, away, events, reached)


class Bench:
    """Uploads images and waits for their records."""

    def __init__(self, server: Server, records: Records) -> None:
        self._client = Minio(server.url.removeprefix("http://"), "a", "b", secure=False, region="us-east-1")
        self._records = records
        self._random = random.Random(7)
        self._made = 0
        self._image = _photograph()

    def ready(self, wiring: Wiring) -> None:
        """Wait until the listener works, and warm up models and caches. Raises ``Permanent`` on timeout."""
        deadline = time.monotonic() + PATIENCE_S
        while (found := wiring.sources.conditions().get("listen")) is None or found.state != "working":
            if time.monotonic() > deadline:
                raise Permanent(f"the listener does not work: {found}")
            time.sleep(0.1)
        for _ in range(3):
            self.one()

    def phase(self, name: str, images: int) -> Phase:
        """Upload images one by one, at random phases of the timer of the queue folder."""
        took = []
        for _ in range(images):
            time.sleep(self._random.uniform(0.2, 1.2))
            took.append(self.one())
        return Phase(name, images, round(statistics.median(took), 3), round(max(took), 3))

    def one(self) -> float:
        """Upload one image. Returns the seconds from the end of the upload to its record."""
        key = self.put()
        ended = time.perf_counter()
        self.await_all([key])
        return time.perf_counter() - ended

    def put(self) -> str:
        """Upload a new image. Returns its key."""
        self._made += 1
        data = self._image + self._made.to_bytes(4, "big")
        key = f"{self._made}.jpg"
        self._client.put_object(BUCKET, key, io.BytesIO(data), len(data), content_type="image/jpeg")
        return key

    def missing(self, keys: Sequence[str]) -> list[str]:
        """The keys that have no record."""
        found = self._records.get([f"{BUCKET}/{key}" for key in keys])
        return [key for key, record in zip(keys, found, strict=True) if record is None]

    def await_all(self, keys: Sequence[str], patience_s: float = PATIENCE_S) -> None:
        """Wait for all records. Raises ``Permanent`` on timeout."""
        deadline = time.monotonic() + patience_s
        while missing := self.missing(keys):
            if time.monotonic() > deadline:
                raise Permanent(f"{len(missing)} of {len(keys)} images have no record after {patience_s:g} s")
            time.sleep(0.005)


def _away(bench: Bench, wiring: Wiring, images: int, seconds: float) -> Away:
    """Suspend the gateway without a listener, so that only the queue folder keeps the events."""
    info = read_stack(wiring.settings.home)
    assert info is not None  # noqa: S101 -- it is running
    gateway = psutil.Process(info.pids["gateway"])
    gateway.suspend()
    try:
        keys = []
        for _ in range(images):
            keys.append(bench.put())
            time.sleep(seconds / images)
        late = len(bench.missing(keys))
    finally:
        gateway.resume()
    back = time.perf_counter()
    bench.await_all(keys)
    return Away(seconds, images, len(bench.missing(keys)), late, round(time.perf_counter() - back, 2))


@contextmanager
def _stack(home: Path, server: Server) -> Iterator[tuple[Records, Wiring]]:
    """A stack with the bucket of the server, and a sweep interval of hours, so that the sweep finds nothing."""
    settings = Settings(
        home=home, s3_endpoint=server.url, s3_access_key="a", s3_secret_key="b", bucket=BUCKET, rescan_s=86_400,  # noqa: S106 -- nobody's
        gateway_port=free_port(8080),
    )  # fmt: skip
    with (home / "up.log").open("ab") as log:
        process = subprocess.Popen(command("up"), env=settings.process_environment(), stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 400
            while (up := running(settings)) is None and time.monotonic() < deadline and process.poll() is None:
                time.sleep(0.2)
            if up is None:
                raise Permanent(f"the stack did not start: {(home / 'up.log').read_text()[-2000:]}")
            wiring = Wiring(up)
            yield wiring.records, wiring
        finally:
            process.send_signal(signal.SIGINT)
            end(process, 30)


def _webhook(home: Path) -> str:
    info = read_stack(home)
    assert info is not None  # noqa: S101 -- it is running
    return f"{info.addresses['gateway']}/v1/events/minio"


def _photograph() -> bytes:
    from skimage import data  # noqa: PLC0415 -- heavy, and only here

    file = io.BytesIO()
    Image.fromarray(data.chelsea()).save(file, "JPEG", quality=90)  # type: ignore[no-untyped-call]  # scikit-image has no types
    return file.getvalue()


def _text(report: Report) -> str:
    m, v = report.machine, report.versions
    lines = [f"{m['cpu']}, {m['cores']} cores, load {m['load']}, Python {v['python']}, commit {v['commit']}"]
    lines += [f"{p.name:16} median {p.median_s:.2f} s, worst {p.worst_s:.2f} s of {p.images}" for p in report.phases]
    if report.away is not None:
        a = report.away
        lines.append(f"gateway away     {a.seconds:g} s: {a.late} of {a.images} were delayed, {a.lost} lost; "
                     f"the last record came {a.after_s:.2f} s after it continued")  # fmt: skip
    lines.append("events: " + ", ".join(f"{name} {count}" for name, count in report.events.items()))
    lines.append(", ".join(f"{name}: {'reached' if ok else 'missed'}" for name, ok in report.reached.items()))
    return "\n".join(lines)
