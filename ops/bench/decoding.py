"""What it costs to decode in a process of its own, and what reducing a large JPEG while it is decoded saves.

The first with photographs of 640 pixels, here and there, alternately. The second with a JPEG of 12 megapixels, from
its bytes to the input of the bundled encoder: as the embedding stage does it, in this process and in one of its own,
against plain Pillow, which decodes all pixels and then reduces them.
"""

from __future__ import annotations

import argparse
import io
import json
import threading
import time
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console

from ops.bench.machine import machine, shown, spread, table, versions
from ops.bench.pictures import PHOTOGRAPHS
from tasks.encoders.framing import framed
from tasks.images import decode, decode_with_media
from tasks.images.decoder import Decoder
from workers.decoding.decoders import Decoders
from workers.settings.settings import Settings
from workers.wiring.models import decoders

SIDE = 640
PIXELS = 10_000_000
LARGE = (4000, 3000)
PIXELS_LARGE = 20_000_000
INPUT = 260  # pixels: the side of the bundled encoder's input
QUALITY = 88
TARGET = 3.0  # times plain Pillow


def photographs() -> list[bytes]:
    """The photographs of scikit-image as JPEG files whose longer side has ``SIDE`` pixels."""
    found = []
    for name in PHOTOGRAPHS:
        image = decode(resources.files("skimage.data").joinpath(name).read_bytes())
        scale = SIDE / max(image.size)
        file = io.BytesIO()
        image.resize((round(image.width * scale), round(image.height * scale))).save(file, "JPEG", quality=QUALITY)
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


def large_compared(data: bytes, rounds: int, there: Decoders) -> dict[str, Any]:
    """Milliseconds from a large JPEG to the input of a model, and ratios of the same round."""
    ways: dict[str, Callable[[], Image.Image]] = {
        "pillow": lambda: _plain(data),
        "here": lambda: _input(decode_with_media(data, max_pixels=PIXELS_LARGE, near=INPUT)[0][0]),
        "there": lambda: _input(there(data, max_pixels=PIXELS_LARGE, near=INPUT)[0][0]),
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            begun = time.perf_counter()
            way()
            if turn:
                took[name].append(1000 * (time.perf_counter() - begun))
    ratios = {
        name: spread([plain / ours for plain, ours in zip(took["pillow"], took[name], strict=True)])
        for name in ("here", "there")
    }
    return {
        "size": LARGE, "bytes": len(data), "input": INPUT,
        "ms": {name: spread(values) for name, values in took.items()},
        "ratio": ratios, "reached": {name: one["median"] >= TARGET for name, one in ratios.items()},
    }  # fmt: skip


def large(size: tuple[int, int] = LARGE) -> bytes:
    """A photograph of scikit-image as a JPEG of 12 megapixels, with the noise that a camera adds."""
    image = decode(resources.files("skimage.data").joinpath("chelsea.png").read_bytes()).resize(size)
    noise = np.random.default_rng(7).normal(0, 6, (size[1], size[0], 1))
    pixels = np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def _input(image: Image.Image) -> Image.Image:
    return framed(image, INPUT, on_white=False)


def _plain(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB").resize((INPUT, INPUT), Image.Resampling.BICUBIC)


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
    parser.add_argument("--rounds", type=int, default=20, help="(default: %(default)s)")
    parser.add_argument("--short", action="store_true", help="one round: only shows that it runs")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    pool = decoders(Settings())
    try:
        rounds = 1 if options.short else options.rounds
        found = compared(photographs(), rounds, pool)
        found["large"] = large_compared(large(), rounds, pool)
    finally:
        pool.close()
    found |= {"load_after": machine()["load"], "versions": versions()}
    if options.json:
        print(json.dumps(found))
    else:
        rows = [(name, f"{found[name]:.2f}") for name in ("here_ms", "more_ms", "here_cpu_ms", "more_cpu_ms")]
        rows += [
            (f"12 megapixels to the input of a model: {name}", shown(one))
            for name, one in found["large"]["ms"].items()
        ]
        rows += [
            (f"the same, Pillow over {name}", shown(one, "times")) for name, one in found["large"]["ratio"].items()
        ]
        Console().print(table(found, "milliseconds an image", rows))
