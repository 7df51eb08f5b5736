"""Encoders for any CLIP or SigLIP model that ``transformers`` loads, one side at a time, on any device.

Each encoder loads only the weights of its own side. Vectors equal those of the library's full model, computed in the
number format of the device: bfloat16 or float16 where it is fast in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tasks.encoders.batch_size import batch_size
from tasks.encoders.checkpoint import not_loaded, read_config, read_space
from tasks.encoders.devices import Device, choose, device_errors, placed
from tasks.encoders.long_pictures import encoded_whole
from tasks.encoders.pixels import Pixels
from tasks.encoders.protocols import Floats
from tasks.encoders.requirements import use_threads
from tasks.encoders.tokens import Tokens, in_batches_by_length
from tasks.model_description import Description

if TYPE_CHECKING:
    import torch

IMAGE_BATCH = 8  # on a CPU
TEXT_BATCH = 64  # on a CPU


class HFImageEncoder:
    """Images → a CLIP or SigLIP space, with the vision model only."""

    def __init__(
        self, name: str, *, threads: int | None = None, dtype: torch.dtype | None = None, device: Device | None = None
    ) -> None:
        """``dtype``: of the computation; by default that of the device. ``device``: by default the best one.

        Raises ``ModelNotLoaded``, ``DeviceUnavailable``, ``DeviceOutOfMemory``.
        """
        use_threads(threads)
        config, family = read_config(name)
        self.space = read_space(name)
        self._output = family.output[0]
        self._device = device or choose()
        from transformers import AutoImageProcessor  # noqa: PLC0415 - takes seconds

        try:
            # its signature carries no types
            processor = AutoImageProcessor.from_pretrained(name)  # type: ignore[no-untyped-call]
        except (OSError, ValueError, ImportError) as exc:
            raise not_loaded(name, exc) from exc
        self.side = _side(config.vision_config)
        self.tower = _tower(name, family.vision, config, config.vision_config, self._device, dtype)
        self._pixels = Pixels(processor, self._device, self.tower.dtype, self.side)
        self._batch = batch_size(self._device, IMAGE_BATCH, self._blank)

    @property
    def description(self) -> Description:
        """See ``Described``."""
        return self._device.described(self._batch.size, self.tower.dtype)

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
        return _unit(self.tower, self._output, self._pixels.moved(prepared[part]))

    def _blank(self, size: int) -> None:
        """Encode so many blank images, for a measurement."""
        import torch  # noqa: PLC0415 - as above

        one = self._pixels.prepared(Image.new("RGB", (self.side, self.side)))
        with torch.inference_mode():
            self._vectors([one] * size, slice(size)).cpu()


class HFTextEncoder:
    """Texts → a CLIP or SigLIP space, with the text model only."""

    def __init__(
        self, name: str, *, threads: int | None = None, dtype: torch.dtype | None = None, device: Device | None = None
    ) -> None:
        """See ``HFImageEncoder``."""
        use_threads(threads)
        config, family = read_config(name)
        self.space = read_space(name)
        self._output = family.output[1]
        self._device = device or choose()
        from transformers import AutoTokenizer  # noqa: PLC0415 - takes seconds

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(name)
        except (OSError, ValueError, ImportError) as exc:
            raise not_loaded(name, exc) from exc
        self._positions = int(config.text_config.max_position_embeddings)
        # SigLIP was trained on texts padded to the full length without a mask, and reads its vector from the last
        # position. CLIP attends causally and reads at the end of the text, so padding has no effect.
        self._padded = family.normalisation == "sigmoid"
        self.tower = _tower(name, family.text, config, config.text_config, self._device, dtype)
        self._batch = batch_size(self._device, TEXT_BATCH, self._blank)

    @property
    def description(self) -> Description:
        """See ``Described``."""
        return self._device.described(self._batch.size, self.tower.dtype)

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
        return _unit(self.tower, self._output, moved)

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


def _side(vision: Any) -> int:
    """The input side in pixels; for a model with variable aspect ratio (SigLIP 2) that of a square input."""
    if size := getattr(vision, "image_size", None):
        return int(size if isinstance(size, int) else max(size))
    return int(math.isqrt(vision.num_patches) * vision.patch_size)


def _unit(tower: Any, output: str, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The unit vectors of a batch, float32, on the device."""
    import torch  # noqa: PLC0415 - as above

    return torch.nn.functional.normalize(getattr(tower(**inputs), output).float(), dim=1)
