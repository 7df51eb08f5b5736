"""What it costs to decode in a process of its own: photographs of 640 pixels, here and there, alternately."""

from __future__ import annotations

import argparse
import io
import json
import threading
import time
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from ops.bench.machine import machine, table, versions
from ops.bench.pictures import PHOTOGRAPHS
from tasks.images import decode, decode_with_media
from tasks.images.decoder import Decoder
from workers.decoding.decoders import Decoders
from workers.settings.settings import Settings
from workers.wiring.models import decoders

SIDE = 640
PIXELS = 10_000_000


def photographs() -> list[bytes]:
    """The photographs of scikit-image as JPEG files whose longer side has ``SIDE`` pixels."""
    found = []
    for name in PHOTOGRAPHS:
        image = decode(resources.files("skimage.data").joinpath(name).read_bytes())
        scale = SIDE / max(image.size)
        file = io.BytesIO()
        image.resize((round(image.width * scale), round(image.height * scale))).save(file, "JPEG", quality=88)
        found.append(file.getvalue())
    return found


def compared(images: Sequence[bytes], rounds: int, there: Decoders) -> dict[str, Any]:
    """Milliseconds an image in both, and the difference. Both are run for each image, one after the other.

    ``more_cpu_ms``: the difference in processor time of all processes, which other load hardly changes.
    """
    here_cpu = there_cpu = 0.0
    here: list[float] = []
    more: list[float] = []
    for turn in range(rounds + 1):
        for data in images:
            own, own_cpu = _seconds(decode_with_media, data)
            other, other_cpu = _seconds(there, data)
            if turn:  # the first one loads what is needed
                here.append(own * 1000)
                more.append((other - own) * 1000)
                here_cpu += own_cpu * 1000
                there_cpu += other_cpu * 1000
    return {
        "images": len(here), "side": SIDE, "here_ms": round(median(here), 3), "more_ms": round(median(more), 3),
        "here_cpu_ms": round(here_cpu / len(here), 3), "more_cpu_ms": round((there_cpu - here_cpu) / len(here), 3),
        "machine": machine(),
    }  # fmt: skip


def _seconds(decoder: Decoder, data: bytes) -> tuple[float, float]:
    """Seconds, and seconds of processor time of this process and those that decode."""
    cpu, begun = _processor(), time.perf_counter()
    decoder(data, max_pixels=PIXELS)
    return time.perf_counter() - begun, _processor() - cpu


def _processor() -> float:
    """Seconds of processor time of this process and its descendants."""
    clocks = [time.CLOCK_PROCESS_CPUTIME_ID]
    folder = Path("/proc/self/task") / str(threading.get_native_id()) / "children"
    for child in folder.read_text().split():
        grandchildren = Path(f"/proc/{child}/task/{child}/children").read_text().split()
        clocks += [(~int(pid) << 3) | 2 for pid in (child, *grandchildren)]  # CPUCLOCK_SCHED of a process
    return sum(map(time.clock_gettime, clocks))


def main(arguments: list[str]) -> None:
    """Run it, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench decoding", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    pool = decoders(Settings())
    try:
        found = compared(photographs(), options.rounds, pool)
    finally:
        pool.close()
    found |= {"load_after": machine()["load"], "versions": versions()}
    if options.json:
        print(json.dumps(found))
    else:
        rows = [(name, f"{found[name]:.2f}") for name in ("here_ms", "more_ms", "here_cpu_ms", "more_cpu_ms")]
        Console().print(table(found, "milliseconds an image", rows))
