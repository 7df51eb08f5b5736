"""``python -m ops.bench encoders``: images and texts per second of the bare model, and of our encoders around it.

One command for any machine: ``--device cuda --model random-vit-l-14 --json`` on a GPU. Models named ``random-…`` have
random weights and the shape of the real ones, so nothing is downloaded; any name that ``WILDTAG_ENCODER`` takes works
too. For each number format and attention, and each batch size, the bare loop computes the same inputs on the device
again and again. Our encoder takes images in memory (``encode``), and the embedding stage takes JPEG files and decodes
them in this process (``embed``). Ratios are to the bare loop in the same format and batch, round by round.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console

from ops.bench.machine import machine, table, versions
from ops.bench.options import parser_of
from ops.bench.random_models import SHAPES, save_random
from tasks.embedding import embed
from tasks.encoders import BUNDLED, load_image_encoder, load_text_encoder
from tasks.encoders.batch_size import DeviceMemory
from tasks.encoders.devices import Device, choose, is_out_of_memory
from tasks.message_parts import ObjectRef, Revision
from tasks.messages import Submitted
from vectordb.starter import captions

BATCHES = (1, 8, 32, 128)
BARE = "bare"
WORDS = 12  # of a caption
PICTURE = (640, 480)  # pixels

console, messages = Console(), Console(stderr=True)

Rate = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How long to measure. ``seconds``: of each of ``rounds``, at least; ``images``: different ones, in memory."""

    batches: Sequence[int]
    rounds: int
    seconds: float
    images: int


SHORT = Plan((1, 4), rounds=1, seconds=0.02, images=8)


def main(arguments: Sequence[str]) -> None:
    """Measure, and print a table or JSON."""
    chosen = _parser().parse_args(arguments)
    plan = SHORT if chosen.short else Plan(tuple(chosen.batches), chosen.rounds, chosen.seconds, chosen.images)
    device = Device() if chosen.model == BUNDLED else choose(chosen.device)
    found = {"machine": machine(), "versions": versions(), "model": chosen.model, "device": asdict(device)}
    with _saved(chosen.model) as name:
        found |= measured(name, device, chosen.threads, plan)
    found["load_after"] = machine()["load"]
    if chosen.json:
        console.out(json.dumps(found), highlight=False)
    else:
        console.print(table(found, "per second", _rows(found)))


@contextmanager
def _saved(model: str) -> Iterator[str]:
    """The model as a name that encoders take; random weights lie in a folder until the end."""
    if model not in SHAPES:
        yield model
        return
    with tempfile.TemporaryDirectory(prefix="wildtag-random-") as folder:
        messages.print(f"making {model} …")
        save_random(model, Path(folder))
        yield folder


def measured(name: str, device: Device, threads: int | None, plan: Plan) -> dict[str, Any]:
    """All figures of one model. Raises what loading it raises."""
    alone = name != BUNDLED  # the bundled encoder has no single model to compare with
    with tempfile.TemporaryDirectory(prefix="wildtag-bench-") as cache:
        loaded = {"cache_dir": Path(cache), "threads": threads, "device": device.name}
        text = load_text_encoder(name, **loaded)  # type: ignore[arg-type]  # of several types
        found: dict[str, Any] = {"text": _text(text, device, plan, alone=alone)}
        if alone:
            found |= {"conditions": _conditions(device), "bare_text": _bare(text, _token_ids, device, plan)}
        del text
        gc.collect()
        image = load_image_encoder(name, **loaded)  # type: ignore[arg-type]  # as above
        found["image"] = _image(image, device, plan, alone=alone)
        if alone:
            found["bare_image"] = _bare(image, _pixel_values, device, plan)
    return found


def _rates(runs: Mapping[str, Callable[[], int]], plan: Plan) -> dict[str, Any]:
    """Rows per second of calls that return the number of their rows, after a warm-up.

    They take turns, round by round, so that other load concerns all. The ratios are those to ``bare`` in each round.
    """
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(plan.rounds):
        for name, run in runs.items():
            rows, begun = 0, time.perf_counter()
            while (took := time.perf_counter() - begun) < plan.seconds or not rows:
                rows += run()
            rates[name].append(rows / took)
    found: dict[str, Any] = {name: _spread(one) for name, one in rates.items()}
    if BARE in runs:
        quotients = {name: [a / b for a, b in zip(one, rates[BARE], strict=True)] for name, one in rates.items()}
        found["ratios"] = {name: _spread(one) for name, one in quotients.items() if name != BARE}
    return found


def _spread(values: Sequence[float]) -> Rate:
    return {"median": median(values), "least": min(values), "most": max(values)}


def _image(encoder: Any, device: Device, plan: Plan, *, alone: bool) -> dict[str, Any]:
    """Our image encoder with images in memory, the embedding stage with JPEG files, and the model alone."""
    batch = encoder.description.batch
    files = _files(max(plan.images, 2 * batch))
    pictures = [Image.open(io.BytesIO(file)).convert("RGB") for file in files]
    objects = tuple(ObjectRef("bench", str(number), "") for number in range(len(files)))
    submitted = Submitted(objects=objects, revision=Revision(encoder.space.id, "none@1"))
    runs: dict[str, Callable[[], int]] = {
        "encode": lambda: len(encoder.encode(pictures)),
        "with_decoding": lambda: len(embed(submitted, files, encoder)[0].objects),
    }
    if alone:
        runs[BARE] = partial(_forward, encoder.tower, _on(device, encoder, _pixel_values(encoder, batch)), batch)
    about = {"description": asdict(encoder.description), "images": len(files), "pixels": PICTURE}
    return about | _rates(runs, plan)


def _text(encoder: Any, device: Device, plan: Plan, *, alone: bool) -> dict[str, Any]:
    """Our text encoder with short captions, and the model alone."""
    batch = encoder.description.batch
    texts = _texts(4 * batch)
    runs: dict[str, Callable[[], int]] = {"encode": lambda: len(encoder.encode(texts))}
    if alone:
        runs[BARE] = partial(_forward, encoder.tower, _on(device, encoder, _token_ids(encoder, batch)), batch)
    about = {"description": asdict(encoder.description), "texts": len(texts), "words": WORDS}
    return about | _rates(runs, plan)


def _texts(count: int) -> list[str]:
    """Short captions, all with the same number of words."""
    words = re.findall(r"\w+", " ".join(caption.text for caption in islice(captions(), count * WORDS)))
    return [" ".join(words[at : at + WORDS]) for at in range(count)]


def _on(device: Device, encoder: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs on the device, in the format of the model."""
    dtype = encoder.tower.dtype
    return {
        name: value.to(device.name, dtype if value.is_floating_point() else value.dtype)
        for name, value in inputs.items()
    }


def _bare(encoder: Any, inputs_of: Callable[[Any, int], Mapping[str, Any]], device: Device, plan: Plan) -> list[Rate]:
    """The model alone, on inputs that are on the device, in each format and attention, by batch size."""
    import torch  # noqa: PLC0415 -- takes seconds

    found: list[Rate] = []
    tower, own = encoder.tower, encoder.tower.dtype
    batches = sorted({*plan.batches, encoder.description.batch})
    formats = dict.fromkeys([(own, "sdpa"), (torch.float32, "sdpa"), (torch.float32, "eager")])
    try:
        for dtype, attention in formats:
            tower.to(dtype).set_attn_implementation(attention)
            name = {"runtime": "PyTorch", "attention": attention, "dtype": str(dtype).partition(".")[2]}
            found += [{**name, **row} for row in _by_batch(encoder, inputs_of, device, batches, plan)]
    finally:
        tower.to(own).set_attn_implementation("sdpa")
    return found


def _by_batch(
    encoder: Any,
    inputs_of: Callable[[Any, int], Mapping[str, Any]],
    device: Device,
    batches: Sequence[int],
    plan: Plan,
) -> Iterator[Rate]:
    """The rate of a model for each batch size, up to the first that does not fit."""

    def rate(batch: int) -> Rate:
        run = partial(_forward, encoder.tower, _on(device, encoder, inputs_of(encoder, batch)), batch)
        return dict(_rates({"alone": run}, plan)["alone"])

    for batch in batches:
        try:
            yield {"batch": batch, **rate(batch)}
        except Exception as exc:
            if not is_out_of_memory(exc):
                raise
            yield {"batch": batch, "median": None, "reason": "out of memory"}
            return
        finally:
            DeviceMemory(device).release()


def _forward(tower: Any, inputs: Mapping[str, Any], batch: int, times: int = 4) -> int:
    """Compute a few batches and wait for the last one."""
    import torch  # noqa: PLC0415 -- takes seconds

    with torch.inference_mode():
        for _ in range(times):
            made = tower(**inputs)
        made[0].flatten()[0].item()
    return times * batch


def _pixel_values(encoder: Any, batch: int) -> Mapping[str, Any]:
    """Inputs of a vision model: noise, prepared as our encoder prepares images."""
    noise = np.random.default_rng(3).integers(0, 256, (encoder.side, encoder.side, 3), dtype=np.uint8)
    pixels = encoder._pixels  # noqa: SLF001 -- the inputs that it makes are what is measured
    made: Mapping[str, Any] = pixels.moved([pixels.prepared(Image.fromarray(noise))] * batch)
    return made


def _token_ids(encoder: Any, batch: int) -> Mapping[str, Any]:
    """Inputs of a text model: captions as our encoder gives them to it."""
    import torch  # noqa: PLC0415 -- takes seconds

    padding = "max_length" if encoder._padded else "longest"  # noqa: SLF001 -- as above
    length = encoder.tower.config.max_position_embeddings
    tokens = encoder._tokenizer(_texts(batch), truncation=True, max_length=length, padding=padding)  # noqa: SLF001 -- as above
    ids = torch.tensor(tokens["input_ids"])
    return {"input_ids": ids} if encoder._padded else {"input_ids": ids, "attention_mask": torch.ones_like(ids)}  # noqa: SLF001 -- as above


def _files(count: int) -> list[bytes]:
    """JPEG files of smooth made pictures, as large as usual photographs of this size (about 50 KB)."""
    rng, files = np.random.default_rng(11), []
    for _ in range(count):
        small = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
        file = io.BytesIO()
        small.resize(PICTURE, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files


def _conditions(device: Device) -> dict[str, Any]:
    """What figures depend on besides machine and packages."""
    import torch  # noqa: PLC0415 -- takes seconds

    found: dict[str, Any] = {"threads": torch.get_num_threads(), "cuda": torch.version.cuda}
    if device.kind != "cuda":
        return found
    memory_gb = round(torch.cuda.get_device_properties(device.name).total_memory / 1e9, 1)
    return found | {"capability": torch.cuda.get_device_capability(device.name), "memory_gb": memory_gb}


def _rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "device", f"{found['device']['name']} {found['device']['hardware']}".strip()
    for what in ("image", "text"):
        for row in found.get(f"bare_{what}", ()):
            figure = f"{row['median']:,.1f}" if row["median"] else row["reason"]
            yield f"{what} model, {row['dtype']}, {row['attention']}, batches of {row['batch']}", figure
        own = found[what]["description"]
        title = f"our {what} encoder, {own['dtype']}, batches of {own['batch']}"
        for name, more in (("encode", ""), ("with_decoding", ", decoding")):
            if name in found[what]:
                yield title + more, f"{found[what][name]['median']:,.1f}"
        for name, one in found[what].get("ratios", {}).items():
            ratio = f"{one['median']:.2f} ({one['least']:.2f} to {one['most']:.2f})"
            yield f"{what}: {name.replace('_', ' ')} over the model alone", ratio


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("encoders", __doc__, "a few batches")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--model", default="random-vit-b-32", help=f"{', '.join(SHAPES)}, bundled, or an encoder")
    parser.add_argument("--threads", type=int, help="CPU threads of the model")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES, help="batch sizes of the bare loop")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of which the median is taken")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round, at least")
    parser.add_argument("--images", type=int, default=64, help="different images at least")
    return parser
