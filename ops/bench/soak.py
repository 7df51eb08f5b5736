"""``python -m ops.bench soak``: very many images in one run of the embedded stack: does anything grow?

Small distinct photographs are put into the folder, a part at a time, while the stack tags those before. The memory of
each process is looked at all the time; a process grows by the difference between its median in the last tenth of the
run and that in the tenth after ``settled`` images. Redis holds the records, so it grows with them: its bytes a record
are given instead. ``pss`` includes pages of files that a process has mapped, which the kernel may take back; ``own``
does not. The photographs are made meanwhile on the same cores, so images a second are fewer than in ``pipeline``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from ops.bench import checkouts
from ops.bench.checkouts import Checkout
from ops.bench.machine import machine, table, versions
from ops.bench.options import parser_of
from ops.bench.processes import Memory, memory_of
from ops.bench.stacks import Stack, stack
from ops.bench.varied import Varied

SIDE = 128  # pixels of the longer side
MOST = 1.05  # times the memory of a process after ``settled`` images
LOOKS = 200  # in the whole run
RECORDS = "redis"  # the service that grows with the records

messages = Console(stderr=True)


@dataclass(frozen=True)
class Look:
    """What was seen when ``images`` had records. ``seconds``: since the begin. ``redis``: bytes of its data."""

    images: int
    seconds: float
    memory: Mapping[str, Memory]
    redis: int


def main(arguments: Sequence[str]) -> None:
    """Measure, and print a table or JSON."""
    chosen = _parser().parse_args(arguments)
    images, settled, part = (40, 10, 10) if chosen.short else (chosen.images, chosen.settled, chosen.part)
    found: dict[str, Any] = {"machine": machine(), "versions": versions()}
    ((_, home), *_) = checkouts.compared(chosen)
    with stack(Checkout.this(), home) as running:
        found |= measured(running, images, min(settled, images // 4), part)
    found["load_after"] = machine()["load"]
    if chosen.json:
        print(json.dumps(found))
    else:
        Console().print(table(found, "figure", _rows(found)))


def measured(running: Stack, images: int, settled: int, part: int) -> dict[str, Any]:
    """Send ``images`` in parts, at most two of which are on their way at a time."""
    looks = list(_run(running, images, part))
    return {"images": images, "side": SIDE, **growth(looks, settled), "looks": [_described(look) for look in looks]}


def _run(running: Stack, images: int, part: int) -> Iterator[Look]:
    pictures = Varied(SIDE)
    first, sent, begun = running.finished(), 0, time.monotonic()
    every, due = max(1, images // LOOKS), 0

    def look() -> Look:
        return Look(
            running.finished() - first, time.monotonic() - begun, memory_of(running.services()),
            int(running.redis.info("memory")["used_memory_dataset"]),
        )  # fmt: skip

    with tempfile.TemporaryDirectory(prefix="wt-", dir="/tmp") as folder:
        while sent < images:
            count = min(part, images - sent)
            files = pictures.write(Path(folder), count)
            goal = first + max(0, sent - part)
            while running.finished() < goal:
                running.await_finished(min(goal, running.finished() + every))
                yield look()
            running.drop(files, f"soak-{sent // part:04}")
            for file in files:
                file.unlink()
            sent += count
            if sent >= due:
                yield look()
                due = sent + every
        while (done := running.finished()) < first + images:
            running.await_finished(min(first + images, done + every))
            yield look()
    yield look()  # the last ones may have finished before they were looked at


def growth(looks: Sequence[Look], settled: int) -> dict[str, Any]:
    """Of each process from after ``settled`` images to the end of the run; and of Redis, a record."""
    end = looks[-1].images
    early = [look for look in looks if settled <= look.images <= settled + end / 10] or [looks[0]]
    late = [look for look in looks if look.images >= end * 0.9]
    services = [name for name in looks[-1].memory if all(name in look.memory for look in (*early, *late))]
    found = {
        name: {
            kind: {"after_settled": before, "at_end": after, "ratio": round(after / before, 4) if before else None}
            for kind in ("pss", "own")
            for before, after in [(_median(early, name, kind), _median(late, name, kind))]
        }
        for name in services
    }
    records = looks[-1].images - early[0].images
    worst = max((one["own"]["ratio"] or 1.0 for name, one in found.items() if name != RECORDS), default=1.0)
    return {
        "settled": settled, "processes": found, "worst_own_growth": worst,
        "worst_pss_growth": max(
            (one["pss"]["ratio"] or 1.0 for name, one in found.items() if name != RECORDS), default=1.0
        ),
        "redis_bytes_a_record": round((looks[-1].redis - early[0].redis) / records) if records else None,
        "per_s": rates(looks), "reached": worst <= MOST,
    }  # fmt: skip


def rates(looks: Sequence[Look], parts: int = 10) -> list[float]:
    """Images a second in each of ten parts of the run."""
    found, before = [], looks[0]
    for number in range(1, parts + 1):
        reached = [look for look in looks if look.images >= looks[-1].images * number / parts]
        if reached and reached[0].images > before.images:
            taken = reached[0].seconds - before.seconds
            found.append(round((reached[0].images - before.images) / max(taken, 1e-9), 2))
            before = reached[0]
    return found


def _median(looks: Sequence[Look], service: str, kind: str) -> float:
    return round(float(median(getattr(look.memory[service], kind) for look in looks)), 1)


def _described(look: Look) -> dict[str, Any]:
    return {
        "images": look.images, "seconds": round(look.seconds, 1), "redis_mb": round(look.redis / 1e6, 1),
        "pss": {name: one.pss for name, one in look.memory.items()},
        "own": {name: one.own for name, one in look.memory.items()},
    }  # fmt: skip


def _rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "images", f"{found['images']:,}, compared from {found['settled']:,} on"
    yield "images a second, by tenths", ", ".join(f"{rate:.0f}" for rate in found["per_s"])
    for name, one in found["processes"].items():
        parts = [
            f"{kind} {one[kind]['after_settled']:.0f} to {one[kind]['at_end']:.0f} MB"
            + (f" ({one[kind]['ratio']:.3f})" if one[kind]["ratio"] else "")
            for kind in ("own", "pss")
        ]
        yield name, "; ".join(parts)
    yield (
        "greatest growth, without Redis",
        f"own {found['worst_own_growth']:.3f}, pss {found['worst_pss_growth']:.3f}",
    )
    yield "Redis, bytes a record", f"{found['redis_bytes_a_record'] or 0:,}"


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("soak", __doc__, "40 images")
    parser.add_argument("--images", type=int, default=50_000, help="(default: %(default)s)")
    parser.add_argument(
        "--settled", type=int, default=5000, help="images after which growth counts (default: %(default)s)"
    )
    parser.add_argument("--part", type=int, default=500, help="images that are put at a time (default: %(default)s)")
    parser.add_argument("--home", type=Path, help="home whose captions are copied (default: that of the settings)")
    parser.set_defaults(against=None, against_home=None)
    return parser
