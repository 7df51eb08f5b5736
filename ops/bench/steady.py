"""``python -m ops.bench steady``: images at a constant rate, as many removed as come: does anything grow?

The stack has a folder as its bucket. ``rate`` small distinct photographs come a second; beyond ``keep`` the oldest is
removed for each that comes, so that everything has a size from then on. From that moment the run is looked at every
few seconds: memory of each process, bytes and keys of Redis, files and bytes of the home, open files and threads,
images that wait. Growth is the slope of a line through all looks (Theil and Sen: the median of the slopes of all
pairs, which single peaks do not move) times the seconds looked at, in parts of the median.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rich.console import Console
from scipy.stats import theilslopes  # type: ignore[import-untyped]  # it has no types

from ops.bench import checkouts
from ops.bench.checkouts import Checkout
from ops.bench.machine import machine, table, versions
from ops.bench.options import parser_of
from ops.bench.processes import memory_of
from ops.bench.stacks import Stack, stack
from ops.bench.varied import Varied

SIDE = 128  # pixels of the longer side
AHEAD = 64  # photographs that are made at a time
FLAT = 0.05  # growth of a size over the whole run that is no growth
FEW = 5.0  # what has this many of something at most is not judged by its share

messages = Console(stderr=True)


@dataclass(frozen=True)
class Look:
    """What was seen ``seconds`` after the population had its size. ``sizes``: by name, all should be flat."""

    seconds: float
    sizes: Mapping[str, float]
    behind: int
    """Images and removals that have no entry in the feed."""


def main(arguments: Sequence[str]) -> None:
    """Measure, and print a table or JSON."""
    chosen = _parser().parse_args(arguments)
    if chosen.short:
        chosen.minutes, chosen.rate, chosen.keep, chosen.every = 0.2, 5.0, 20, 1.0
    found: dict[str, Any] = {"machine": machine(), "versions": versions()}
    ((_, home), *_) = checkouts.compared(chosen)
    with stack(Checkout.this(), home) as running:
        found |= measured(running, chosen.rate, chosen.keep, chosen.minutes * 60, chosen.every)
    found["load_after"] = machine()["load"]
    if chosen.json:
        print(json.dumps(found))
    else:
        Console().print(table(found, "figure", _rows(found)))


def measured(running: Stack, rate: float, keep: int, seconds: float, every: float) -> dict[str, Any]:
    """Run for ``seconds`` after ``keep`` images are there; a look each ``every`` seconds."""
    looks, sent = _run(running, rate, keep, seconds, every)
    return {
        "images": sent, "rate": rate, "keep": keep, "side": SIDE, "seconds": round(looks[-1].seconds),
        **judged(looks), "looks": [{"seconds": round(look.seconds, 1), "behind": look.behind, **look.sizes}
                                   for look in looks],
    }  # fmt: skip


def _run(running: Stack, rate: float, keep: int, seconds: float, every: float) -> tuple[list[Look], int]:
    """All looks, and how many images were sent from their beginning on."""
    looks: list[Look] = []
    with tempfile.TemporaryDirectory(prefix="wt-", dir="/tmp") as folder:
        flow = _Flow(running, _pictures(Path(folder)), keep)
        first = running.finished()
        while len(flow.there) < keep:
            flow.one()
            while flow.sent - (running.finished() - first) > 200:  # the beginning is no part of the measurement
                time.sleep(0.1)
        running.await_finished(first + keep)
        messages.print(f"{keep} images are there; {rate:g} a second from now on")
        begun, before, due = time.monotonic(), flow.sent, 0.0
        while (now := time.monotonic() - begun) < seconds:
            while flow.sent - before < now * rate:
                flow.one()
            if now >= due:
                behind = flow.sent + flow.removed - (running.finished() - first)
                looks.append(Look(now, _sizes(running), behind))
                due += every
            time.sleep(min(0.05, 1 / rate))
    return looks, flow.sent - before


class _Flow:
    """Puts images into the folder of a stack, and removes the oldest when there are more than ``keep``."""

    def __init__(self, running: Stack, files: Iterator[Path], keep: int) -> None:
        self._running, self._files, self._keep = running, files, keep
        self.there: deque[Path] = deque()
        self.sent = self.removed = 0

    def one(self) -> None:
        """One more."""
        file = next(self._files)
        folder = f"steady-{self.sent % 50:02}"  # as many folders as ever
        self._running.drop([file], folder)
        self.there.append(self._running.inbox / folder / file.name)
        file.unlink()
        self.sent += 1
        if len(self.there) > self._keep:
            self.there.popleft().unlink()
            self.removed += 1


def _pictures(folder: Path) -> Iterator[Path]:
    varied = Varied(SIDE)
    while True:
        yield from varied.write(folder, AHEAD)


def _sizes(running: Stack) -> dict[str, float]:
    services = running.services()
    files, stored = _contents(running.home, running.inbox)
    redis: Any = running.redis
    sizes: dict[str, float] = {f"memory {name} MB": one.own for name, one in memory_of(services).items()}
    sizes |= {
        "redis data MB": round(int(redis.info("memory")["used_memory_dataset"]) / 1e6, 2),
        "redis keys": redis.dbsize(), "files": files, "files MB": round(stored / 1e6, 2),
    }  # fmt: skip
    for what, counted in (("open files", psutil.Process.num_fds), ("threads", psutil.Process.num_threads)):
        sizes[what] = sum(_count(counted, process) for processes in services.values() for process in processes)
    return sizes


def _count(counted: Callable[[psutil.Process], int], process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return counted(process)
    return 0


def _contents(home: Path, without: Path) -> tuple[int, int]:
    """Number and bytes of the files of a home, without those of a folder in it."""
    count = size = 0
    for folder, folders, names in os.walk(home):
        folders[:] = [name for name in folders if Path(folder, name) != without]
        for name in names:
            with suppress(OSError):
                size += Path(folder, name).lstat().st_size
                count += 1
    return count, size


def judged(looks: Sequence[Look]) -> dict[str, Any]:
    """What grew: of each size the first, the last, the median and the growth over the run in parts of the median.

    The first tenth is left out, in which caches fill. ``reached``: nothing grew by more than ``FLAT``.
    """
    end = looks[-1].seconds
    settled = [look for look in looks if look.seconds >= end / 10] or list(looks)
    names = [name for name in settled[0].sizes if all(name in look.sizes for look in settled)]
    times = [look.seconds for look in settled]
    sizes: dict[str, Any] = {}
    for name in names:
        values = [look.sizes[name] for look in settled]
        middle = float(median(values))
        slope = float(theilslopes(values, times)[0]) if len(set(times)) > 1 else 0.0
        grown = slope * (times[-1] - times[0])
        sizes[name] = {
            "first": values[0], "last": values[-1], "median": round(middle, 2), "grown": round(grown, 3),
            "growth": round(grown / middle, 4) if middle else 0.0,
        }  # fmt: skip
    grew = {name: one["growth"] for name, one in sizes.items() if one["growth"] > FLAT and one["grown"] > FEW}
    behind = [look.behind for look in settled]
    waiting = {"median": median(behind), "most": max(behind)}
    return {"sizes": sizes, "grew": grew, "behind": waiting, "reached": not grew}


def _rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "images", f"{found['images']:,} in {found['seconds']:,} s, {found['keep']:,} at a time"
    yield "images that wait", f"median {found['behind']['median']:g}, most {found['behind']['most']:,}"
    for name, one in found["sizes"].items():
        yield name, f"{one['first']:,g} to {one['last']:,g}, growth {100 * one['growth']:.1f} %"
    yield "grew by more than 5 %", ", ".join(found["grew"]) or "nothing"


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("steady", __doc__, "12 s with 20 images")
    parser.add_argument("--minutes", type=float, default=60.0, help="(default: %(default)s)")
    parser.add_argument("--rate", type=float, default=20.0, help="images a second (default: %(default)s)")
    parser.add_argument("--keep", type=int, default=3000, help="images that are there (default: %(default)s)")
    parser.add_argument("--every", type=float, default=15.0, help="seconds between two looks (default: %(default)s)")
    parser.add_argument("--home", type=Path, help="home whose captions are copied (default: that of the settings)")
    parser.set_defaults(against=None, against_home=None)
    return parser
