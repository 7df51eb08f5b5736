"""Encoders for any CLIP or SigLIP model that ``transformers`` loads, one side at a time, on any device.

Each encoder loads only the weights of its own side. Vectors equal those of the library's full model, computed in the
number format of the device: bfloat16 or float16 where it is fast in it. On a CPU a ``Plan`` may name another format,
or ONNX Runtime.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tasks.encoders.batch_size import BatchSize, DeviceMemory, batch_size
from tasks.encoders.checkpoint import not_loaded, read_config, read_space
from tasks.encoders.devices import Device, choose, device_errors, placed
from tasks.encoders.long_pictures import encoded_whole
from tasks.encoders.pixels import Pixels
from tasks.encoders.protocols import Floats
from tasks.encoders.requirements import use_threads
from tasks.encoders.runtimes import EXACT, Plan, in_space
from tasks.encoders.tokens import Tokens, in_batches_by_length
from tasks.encoders.towers import computing, dtype_of, graph_tower, sample_pixels, sample_tokens
from tasks.model_description import ONNX_RUNTIME, Description

if TYPE_CHECKING:
    import torch

IMAGE_BATCH = 8  # on a CPU
TEXT_BATCH = 64  # on a CPU


class HFImageEncoder:
    """Images → a CLIP or SigLIP space, with the vision model only."""

    def __init__(
        self, name: str, *, threads: int | None = None, dtype: torch.dtype | None = None,
        device: Device | None = None, plan: Plan | None = None, cache_dir: Path | None = None,
    ) -> None:  # fmt: skip
        """``dtype``: of the computation; by default that of the device. ``device``: by default the best one.

        ``plan``: the runtime and the sizes on a CPU, instead of ``dtype``. A plan of ONNX Runtime needs
        ``cache_dir``, which keeps the graph. Raises ``ModelNotLoaded``, ``DeviceUnavailable``, ``DeviceOutOfMemory``.
        """
        use_threads(threads)
        config, family = read_config(name)
        space = read_space(name)
        self._device = device or choose()
        self._plan = None if self._device.accelerated else plan
        self.space = space if self._plan is None else in_space(space, self._plan.runtime)
        from transformers import AutoImageProcessor  # noqa: PLC0415 - takes seconds

        try:
            # its signature carries no types
            processor = AutoImageProcessor.from_pretrained(name)  # type: ignore[no-untyped-call]
        except (OSError, ValueError, ImportError) as exc:
            raise not_loaded(name, exc) from exc
        self.side = _side(config.vision_config)
        load = partial(_tower, name, family.vision, config, config.vision_config, self._device)
        if self._plan is not None and self._plan.onnx and cache_dir is not None:
            sample = partial(sample_pixels, Pixels(processor, self._device, dtype_of(EXACT), self.side), self.side)
            self.tower: Any = graph_tower(
                cache_dir, space.id, "image", self._plan, partial(load, dtype_of(EXACT)), family.output[0],
                ["pixel_values"], sample,
            )  # fmt: skip
        else:
            self.tower = load(dtype if self._plan is None else dtype_of(self._plan))
        self._compute = computing(self.tower, family.output[0], self._plan)
        self._pixels = Pixels(processor, self._device, self.tower.dtype, self.side)
        self._batch = _batch(self._device, self._plan, IMAGE_BATCH, self._blank)

    @property
    def description(self) -> Description:
        """See ``Described``."""
        return _described(self._device, self._batch, self._plan, self.tower)

    def encode(self, images: Sequence[Image.Image]) -> Floats:
        """RGB images of any size → (n, dimension) float32, unit length. See ``tasks.encoders.long_pictures``.

        Raises ``DeviceOutOfMemory``, ``DeviceFailed``.
        """
        with device_errors(self._device):
            return encoded_whole(images, self._encode)

    def _encode(self, images: Sequence[Image.Image]) -> Floats:
        import torch  # noqa: PLC0415 - torch is loaded only when needed

        made = _Fetched((len(images), self.space.dimension))
        with torch.inference_mode():
            for begin, prepared in self._pixels.batches(images, lambda: self._batch.size):
                parts = self._batch.parts(len(prepared), partial(self._vectors, prepared))
                made.add(slice(begin, begin + len(prepared)), torch.cat(list(parts)))
        if _overflowed(self.tower, made.all()):
            self._pixels.dtype = torch.float32
            return self._encode(images)
        return made.all()

    def _vectors(self, prepared: Sequence[dict[str, torch.Tensor]], part: slice) -> torch.Tensor:
        return self._compute(self._pixels.moved(prepared[part]))

    def _blank(self, size: int) -> None:
        """Encode so many blank images, for a measurement."""
        import torch  # noqa: PLC0415 - as above

        one = self._pixels.prepared(Image.new("RGB", (self.side, self.side)))
        with torch.inference_mode():
            self._vectors([one] * size, slice(size)).cpu()


class HFTextEncoder:
    """Texts → a CLIP or SigLIP space, with the text model only."""

    def __init__(
        self, name: str, *, threads: int | None = None, dtype: torch.dtype | None = None,
        device: Device | None = None, plan: Plan | None = None, cache_dir: Path | None = None,
    ) -> None:  # fmt: skip
        """See ``HFImageEncoder``."""
        use_threads(threads)
        config, family = read_config(name)
        space = read_space(name)
        self._device = device or choose()
        self._plan = None if self._device.accelerated else plan
        self.space = space if self._plan is None else in_space(space, self._plan.runtime)
        from transformers import AutoTokenizer  # noqa: PLC0415 - takes seconds

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(name)
        except (OSError, ValueError, ImportError) as exc:
            raise not_loaded(name, exc) from exc
        self._positions = int(config.text_config.max_position_embeddings)
        # SigLIP was trained on texts padded to the full length without a mask, and reads its vector from the last
        # position. CLIP attends causally and reads at the end of the text, so padding has no effect.
        self._padded = family.normalisation == "sigmoid"
        load = partial(_tower, name, family.text, config, config.text_config, self._device)
        if self._plan is not None and self._plan.onnx and cache_dir is not None:
            inputs = ["input_ids"] if self._padded else ["input_ids", "attention_mask"]
            self.tower: Any = graph_tower(
                cache_dir, space.id, "text", self._plan, partial(load, dtype_of(EXACT)), family.output[1], inputs,
                partial(sample_tokens, config.text_config, self._positions, len(inputs)),
            )  # fmt: skip
        else:
            self.tower = load(dtype if self._plan is None else dtype_of(self._plan))
        self._compute = computing(self.tower, family.output[1], self._plan)
        self._batch = _batch(self._device, self._plan, TEXT_BATCH, self._blank)

    @property
    def description(self) -> Description:
        """See ``Described``."""
        return _described(self._device, self._batch, self._plan, self.tower)

    def encode(self, texts: Sequence[str]) -> Floats:
        """Texts → (n, dimension) float32, unit length. Longer texts are truncated to the model's length.

        Raises ``DeviceOutOfMemory``, ``DeviceFailed``.
        """
        if not texts:
            return np.empty((0, self.space.dimension), np.float32)
        with device_errors(self._device):
            return self._encode(texts)

    def _encode(self, texts: Sequence[str]) -> Floats:
        import torch  # noqa: PLC0415 - as above

        tokens = self._tokenizer(
            list(texts),
            truncation=True,
            max_length=self._positions,
            padding="max_length" if self._padded else False,
        )["input_ids"]
        padding = self._tokenizer.pad_token_id or 0
        made = _Fetched((len(texts), self.space.dimension))
        with torch.inference_mode():
            for rows, ids, mask in in_batches_by_length(tokens, self._batch.size, padding):
                parts = self._batch.parts(len(rows), partial(self._vectors, ids, mask))
                made.add(rows, torch.cat(list(parts)))
        return self._encode(texts) if _overflowed(self.tower, made.all()) else made.all()

    def _vectors(self, ids: Tokens, mask: Tokens, part: slice) -> torch.Tensor:
        inputs = {"input_ids": ids} if self._padded else {"input_ids": ids, "attention_mask": mask}
        moved = {name: _moved(values[part], self._device) for name, values in inputs.items()}
        return self._compute(moved)

    def _blank(self, size: int) -> None:
        """Encode so many texts of full length, for a measurement."""
        import torch  # noqa: PLC0415 - as above

        ids = np.zeros((size, self._positions), np.int64)
        with torch.inference_mode():
            self._vectors(ids, np.ones_like(ids), slice(size)).cpu()


class _Fetched:
    """Vectors in the memory of this process. Those of a batch are fetched while the device computes the next one."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._vectors = np.empty(shape, np.float32)
        self._last: tuple[Any, torch.Tensor] | None = None

    def add(self, rows: slice | list[int], vectors: torch.Tensor) -> None:
        """``rows``: where they belong."""
        self._fetch()
        self._last = rows, vectors

    def all(self) -> Floats:
        """Wait for the last batch. Returns all vectors."""
        self._fetch()
        return self._vectors

    def _fetch(self) -> None:
        if self._last is not None:
            rows, vectors = self._last
            self._vectors[rows] = vectors.cpu().numpy()
            self._last = None


def _moved(values: Tokens, device: Device) -> torch.Tensor:
    """Numbers as a tensor on the device. Does not wait for the transfer."""
    import torch  # noqa: PLC0415 - as above

    tensor = torch.from_numpy(values)
    return (tensor.pin_memory() if device.kind == "cuda" else tensor).to(device.name, non_blocking=True)


def _overflowed(tower: Any, vectors: Floats) -> bool:
    """Whether float16 was too small for some activation. The model then computes in float32 from now on."""
    import torch  # noqa: PLC0415 - as above

    if tower.dtype is not torch.float16 or np.isfinite(vectors).all():
        return False
    tower.float()
    return True


def _tower(name: str, kind: str, whole: Any, part: Any, device: Device, dtype: torch.dtype | None) -> Any:
    """One side of the model; ``whole`` and ``part`` are the configurations of the model and of the side."""
    import torch  # noqa: PLC0415 - as above
    import transformers  # noqa: PLC0415 - as above

    if hasattr(whole, "projection_dim"):
        # the full model projects to this dimension, whatever the part says
        part.projection_dim = whole.projection_dim
    try:
        # the library computes attention by SDPA where the model allows it
        tower: Any = getattr(transformers, kind).from_pretrained(
            name, config=part, dtype=dtype or getattr(torch, device.dtype)
        )
    except (OSError, ValueError, RuntimeError) as exc:
        raise not_loaded(name, exc) from exc
    return placed(tower, device)


def _batch(device: Device, plan: Plan | None, on_cpu: int, run: Callable[[int], None]) -> BatchSize:
    return batch_size(device, on_cpu, run) if plan is None else BatchSize(plan.batch, DeviceMemory(device))


def _described(device: Device, batch: BatchSize, plan: Plan | None, tower: Any) -> Description:
    description = device.described(batch.size, tower.dtype)
    if plan is None or not plan.onnx:
        return description
    return replace(description, runtime=ONNX_RUNTIME, dtype=plan.runtime.partition("-")[2])


def _side(vision: Any) -> int:
    """The input side in pixels; for a model with variable aspect ratio (SigLIP 2) that of a square input."""
    if size := getattr(vision, "image_size", None):
        return int(size if isinstance(size, int) else max(size))
    return int(math.isqrt(vision.num_patches) * vision.patch_size)
