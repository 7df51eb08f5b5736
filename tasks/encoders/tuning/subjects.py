"""What is measured of an encoder: its candidates, and the photographs and captions they are compared on."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from tasks.encoders.devices import Device
from tasks.encoders.requirements import cores, fast_dtype, need
from tasks.encoders.runtimes import (
    COMPILE_BFLOAT16,
    ONNX_FLOAT32,
    ONNX_INT8,
    TORCH_BFLOAT16,
    TORCH_FLOAT32,
    Plan,
    Side,
    usual,
)  # fmt: skip
from tasks.encoders.tuning.tuner import Encode, Subject
from vectordb.starter.captions import captions

_PHOTOGRAPHS = (
    "chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg", "motorcycle_left.png", "coins.png", "retina.jpg",
    "hubble_deep_field.jpg",
)  # fmt: skip
_SIDE = 512  # pixels at most: their resizing is no part of what is compared
_CAPTIONS, _EVERY = 64, 450
_COMPILERS = ("c++", "g++", "clang++")
_OPT_IN = {
    ONNX_INT8: "less exact, so a space of its own: WILDTAG_RUNTIME=onnx-int8 takes it",
    COMPILE_BFLOAT16: "each process would compile at its start: WILDTAG_RUNTIME=compile-bfloat16 takes it",
}


def photographs() -> list[Image.Image]:
    """Photographs of scikit-image, RGB. Raises ``MissingPackage``."""
    need("skimage.data", "scikit-image")
    folder, found = resources.files("skimage.data"), []
    for name in _PHOTOGRAPHS:
        image = Image.open(io.BytesIO(folder.joinpath(name).read_bytes())).convert("RGB")
        image.thumbnail((_SIDE, _SIDE))
        found.append(image)
    return found


def sample_captions() -> list[str]:
    """Captions of the starter list, of many kinds."""
    return [caption.text for caption in islice(captions(), 0, _CAPTIONS * _EVERY, _EVERY)]


def subjects(
    name: str, cache_dir: Path, threads: int | None, *, thorough: bool, samples: Mapping[Side, Sequence[Any]]
) -> list[Subject]:  # fmt: skip
    """Both sides of an encoder of ``transformers`` on the CPU. ``thorough``: more sizes and candidates."""
    from tasks.encoders.huggingface import HFImageEncoder, HFTextEncoder  # noqa: PLC0415 - not for the bundled one

    def load(kind: type[HFImageEncoder | HFTextEncoder], plan: Plan) -> Encode:
        encoder = kind(name, threads=threads, device=Device(), plan=plan, cache_dir=cache_dir)
        return encoder.encode

    own = f"torch-{str(fast_dtype()).removeprefix('torch.')}"
    refused = dict(_OPT_IN)
    if own == TORCH_FLOAT32:
        refused[TORCH_BFLOAT16] = ""
    kinds: list[tuple[Side, Any]] = [("image", HFImageEncoder), ("text", HFTextEncoder)]
    return [
        Subject(
            side, partial(load, kind), samples[side], usual(TORCH_FLOAT32, side, threads), usual(own, side, threads),
            candidates(side, threads, thorough=thorough), refused,
        )
        for side, kind in kinds
    ]  # fmt: skip


def candidates(side: Side, threads: int | None, *, thorough: bool) -> list[Plan]:
    """The plans to measure, those of one runtime after each other, with its usual sizes first."""
    count = threads or cores()
    found = []
    for runtime in (TORCH_BFLOAT16, TORCH_FLOAT32, ONNX_FLOAT32, *([ONNX_INT8] if thorough else [])):
        plan = usual(runtime, side, threads)
        found.append(plan)
        if plan.onnx and count > 1:  # several threads for one call
            found.append(Plan(runtime, plan.batch, 1, count))
        if thorough:
            factors = (2, 4) if plan.onnx else (2,)
            found += [Plan(runtime, plan.rows * factor, plan.lanes, plan.threads) for factor in factors]
    if thorough and any(shutil.which(one) for one in _COMPILERS):
        found.append(usual(COMPILE_BFLOAT16, side, threads))
    return found


def bundled_subjects(
    cache_dir: Path, threads: int | None, samples: Mapping[Side, Sequence[Any]]
) -> list[Subject]:  # fmt: skip
    """Both sides of the bundled encoder, in sizes that differ."""
    from tasks.encoders.bundled import BundledImageEncoder, BundledTextEncoder, usual_sizes  # noqa: PLC0415 - as above

    image, text = usual_sizes(threads)

    def load_image(plan: Plan) -> Encode:
        return BundledImageEncoder(cache_dir, plan=plan).encode

    def load_text(plan: Plan) -> Encode:
        return BundledTextEncoder(cache_dir, plan=plan).encode

    sizes = [Plan(ONNX_FLOAT32, rows, image.lanes) for rows in (1, 2, 4)]
    if image.lanes > 1:
        sizes.append(Plan(ONNX_FLOAT32, image.batch, 1, image.lanes))
    texts = [Plan(ONNX_FLOAT32, rows, text.lanes) for rows in (8, 4, 16)]
    return [
        Subject("image", load_image, samples["image"], image, image, sizes, {}),
        Subject("text", load_text, samples["text"], text, text, texts, {}),
    ]
