"""``python -m ops.bench encoders``: images and texts per second of the bare model, and of our encoders around it.

One command for any machine: ``--device cuda --model random-vit-l-14 --json`` on a GPU. Models named ``random-…`` have
random weights and the shape of the real ones, so nothing is downloaded; any name that ``WILDTAG_ENCODER`` takes works
too. For each number format and attention, and each batch size, the bare loop computes the same inputs on the device
again and again. Our encoder takes images in memory (``encode``), and the embedding stage takes JPEG files and decodes
them in this process (``embed``). Ratios are to the bare loop in the same format and batch.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console

from ops.bench.machine import machine, table, versions
from ops.bench.random_models import SHAPES, save_random
from tasks.embedding import embed
from tasks.encoders import BUNDLED, load_image_encoder, load_text_encoder
from tasks.encoders.batch_size import DeviceMemory
from tasks.encoders.devices import Device, choose, is_out_of_memory
from tasks.encoders.protocols import Described, ImageEncoder, TextEncoder
from tasks.message_parts import ObjectRef, Revision
from tasks.messages import Submitted

BATCHES = (1, 8, 32, 128)
TOKENS = 16  # of a short caption
PICTURE = (640, 480)  # pixels

console = Console()
messages = Console(stderr=True)

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
    with tempfile.TemporaryDirectory(prefix="wildtag-bench-") as cache:
        loaded = {"cache_dir": Path(cache), "threads": threads, "device": device.name}
        text = load_text_encoder(name, **loaded)  # type: ignore[arg-type]  # of several types
        found: dict[str, Any] = {"text": _text(text, plan)}
        if name != BUNDLED:
            found |= {"conditions": _conditions(device), "bare_text": _bare(text, _token_ids, device, plan)}
            found["ratio_text"] = _ratio(found["text"], found["bare_text"])
        del text
        gc.collect()
        image = load_image_encoder(name, **loaded)  # type: ignore[arg-type]  # as above
        found["image"] = _image(image, plan)
        if name != BUNDLED:
            found["bare_image"] = _bare(image, _pixel_values, device, plan)
            found["ratio_image"] = _ratio(found["image"], found["bare_image"])
            found["ratio_with_decoding"] = _ratio(found["image"], found["bare_image"], "with_decoding")
    return found


def _rate(run: Callable[[], int], plan: Plan) -> Rate:
    """Rows per second of a call that returns the number of its rows: the median of the rounds, after a warm-up."""
    run()
    rates = []
    for _ in range(plan.rounds):
        rows, begun = 0, time.perf_counter()
        while (took := time.perf_counter() - begun) < plan.seconds or not rows:
            rows += run()
        rates.append(rows / took)
    return {"per_second": median(rates), "least": min(rates), "most": max(rates)}


def _image(encoder: ImageEncoder, plan: Plan) -> dict[str, Any]:
    """Our image encoder with images in memory, and the embedding stage with JPEG files."""
    assert isinstance(encoder, Described)  # noqa: S101 -- narrows a type
    batch = max(encoder.description.batch, 1)
    files = _files(max(plan.images, 2 * batch))
    pictures = [Image.open(io.BytesIO(file)).convert("RGB") for file in files]
    objects = tuple(ObjectRef("bench", str(number), "") for number in range(len(files)))
    submitted = Submitted(objects=objects, revision=Revision(encoder.space.id, "none@1"))
    return {
        "description": asdict(encoder.description), "images": len(files), "pixels": PICTURE,
        "encode": _rate(lambda: len(encoder.encode(pictures)), plan),
        "with_decoding": _rate(lambda: len(embed(submitted, files, encoder)[0].objects), plan),
    }  # fmt: skip


def _text(encoder: TextEncoder, plan: Plan) -> dict[str, Any]:
    """Our text encoder with short captions."""
    assert isinstance(encoder, Described)  # noqa: S101 -- narrows a type
    count = 4 * encoder.description.batch
    texts = [f"no {number} of us"[: TOKENS - 2].ljust(TOKENS - 2, "x") for number in range(count)]
    return {
        "description": asdict(encoder.description), "texts": len(texts), "tokens": TOKENS,
        "encode": _rate(lambda: len(encoder.encode(texts)), plan),
    }  # fmt: skip


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
            found += [{**name, **row} for row in _by_batch(tower, partial(inputs_of, encoder), device, batches, plan)]
    finally:
        tower.to(own).set_attn_implementation("sdpa")
    return found


def _by_batch(
    tower: Any, inputs_of: Callable[[int], Mapping[str, Any]], device: Device, batches: Sequence[int], plan: Plan
) -> Iterator[Rate]:
    """The rate of a model for each batch size, up to the first that does not fit."""
    import torch  # noqa: PLC0415 -- takes seconds

    for batch in batches:
        inputs = {
            name: value.to(device.name, tower.dtype if value.is_floating_point() else value.dtype)
            for name, value in inputs_of(batch).items()
        }
        try:
            with torch.inference_mode():
                rate = _rate(partial(_forward, tower, inputs, batch), plan)
        except Exception as exc:
            if not is_out_of_memory(exc):
                raise
            rate = {"per_second": None, "reason": "out of memory"}
        yield {"batch": batch, **rate}
        del inputs
        DeviceMemory(device).release()
        if rate["per_second"] is None:
            return


def _forward(tower: Any, inputs: Mapping[str, Any], batch: int, times: int = 4) -> int:
    """Compute a few batches and wait for the last one."""
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
    """Inputs of a text model: short texts without padding."""
    import torch  # noqa: PLC0415 -- takes seconds

    length = min(TOKENS, encoder.tower.config.max_position_embeddings)
    ids = torch.randint(4, 100, (batch, length), generator=torch.Generator().manual_seed(5))
    ids[:, -1] = int(encoder.tower.config.eos_token_id)
    return {"input_ids": ids}


def _ratio(ours: Mapping[str, Any], bare: Sequence[Rate], which: str = "encode") -> float | None:
    """Our rate over that of the bare model in the same format and batch."""
    description = ours["description"]
    for row in bare:
        same = (row["dtype"], row["batch"], row["attention"]) == (description["dtype"], description["batch"], "sdpa")
        if same and row["per_second"]:
            return float(ours[which]["per_second"] / row["per_second"])
    return None


def _files(count: int) -> list[bytes]:
    """JPEG files of smooth made pictures, as large as usual photographs of this size (about 50 KB)."""
    rng = np.random.default_rng(11)
    files = []
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
    if device.kind == "cuda":
        found["capability"] = torch.cuda.get_device_capability(device.name)
        found["memory_gb"] = round(torch.cuda.get_device_properties(device.name).total_memory / 1e9, 1)
        found["cudnn"] = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]  # untyped in the library
    return found


def _rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "device", f"{found['device']['name']} {found['device']['hardware']}".strip()
    for row in chain(found.get("bare_image", ()), found.get("bare_text", ())):
        what = "images" if row in found.get("bare_image", ()) else "texts"
        figure = f"{row['per_second']:,.1f}" if row["per_second"] else row["reason"]
        yield f"bare, {what}, {row['dtype']}, {row['attention']}, batches of {row['batch']}", figure
    for what, figures in (("image", found["image"]), ("text", found["text"])):
        own = figures["description"]
        for name in ("encode", "with_decoding"):
            if name in figures:
                title = f"our {what} encoder, {own['dtype']}, batches of {own['batch']}"
                yield title + ", decoding" * (name != "encode"), f"{figures[name]['per_second']:,.1f}"
    for name in ("ratio_image", "ratio_with_decoding", "ratio_text"):
        if found.get(name):
            yield name.replace("_", " "), f"{found[name]:.2f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m ops.bench encoders", description=__doc__)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--model", default="random-vit-b-32", help=f"{', '.join(SHAPES)}, bundled, or an encoder")
    parser.add_argument("--threads", type=int, help="CPU threads of the model")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES, help="batch sizes of the bare loop")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of which the median is taken")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round, at least")
    parser.add_argument("--images", type=int, default=64, help="different images at least")
    parser.add_argument("--short", action="store_true", help="a few batches: shows that it works, not how fast")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser
