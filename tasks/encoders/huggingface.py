"""Encoders for any CLIP or SigLIP model that ``transformers`` loads, one side at a time.

Each encoder loads only the weights of its own side. Vectors equal those of the library's full model, computed in
bfloat16 on a CPU that supports it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tasks.encoders.checkpoint import not_loaded, read_config, read_space
from tasks.encoders.long_pictures import encoded_whole
from tasks.encoders.protocols import Floats
from tasks.encoders.requirements import fast_dtype, use_threads
from tasks.encoders.tokens import in_batches_by_length

if TYPE_CHECKING:
    import torch

IMAGE_BATCH = 8
TEXT_BATCH = 64


class HFImageEncoder:
    """Images → a CLIP or SigLIP space, with the vision model only."""

    def __init__(self, name: str, *, threads: int | None = None, dtype: torch.dtype | None = None) -> None:
        """``dtype``: of the computation; by default the fastest of the machine. Raises ``ModelNotLoaded``."""
        use_threads(threads)
        config, family = read_config(name)
        self.space = read_space(name)
        self._output = family.output[0]
        self._dtype = dtype or fast_dtype()
        from transformers import AutoImageProcessor  # noqa: PLC0415 - takes seconds

        try:
            # its signature carries no types
            self._processor = AutoImageProcessor.from_pretrained(name)  # type: ignore[no-untyped-call]
        except (OSError, ValueError, ImportError) as exc:
            raise not_loaded(name, exc) from exc
        self.side = _side(config.vision_config)
        self.tower = _tower(name, family.vision, config, config.vision_config, self._dtype)

    def encode(self, images: Sequence[Image.Image]) -> Floats:
        """RGB images of any size → (n, dimension) float32, unit length. See ``tasks.encoders.long_pictures``."""
        return encoded_whole(images, self._encode)

    def _encode(self, images: Sequence[Image.Image]) -> Floats:
        import torch  # noqa: PLC0415 - torch is loaded only when needed

        vectors = np.empty((len(images), self.space.dimension), np.float32)
        with torch.inference_mode():
            for begin in range(0, len(images), IMAGE_BATCH):
                batch = list(images[begin : begin + IMAGE_BATCH])
                inputs = dict(self._processor(batch, return_tensors="pt"))
                inputs["pixel_values"] = inputs["pixel_values"].to(self._dtype)
                vectors[begin : begin + IMAGE_BATCH] = _unit(getattr(self.tower(**inputs), self._output))
        return vectors


class HFTextEncoder:
    """Texts → a CLIP or SigLIP space, with the text model only."""

    def __init__(self, name: str, *, threads: int | None = None, dtype: torch.dtype | None = None) -> None:
        """``dtype``: of the computation; by default the fastest of the machine. Raises ``ModelNotLoaded``."""
        use_threads(threads)
        config, family = read_config(name)
        self.space = read_space(name)
        self._output = family.output[1]
        from transformers import AutoTokenizer  # noqa: PLC0415 - takes seconds

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(name)
        except (OSError, ValueError, ImportError) as exc:
            raise not_loaded(name, exc) from exc
        self._positions = int(config.text_config.max_position_embeddings)
        # SigLIP was trained on texts padded to the full length without a mask, and reads its vector from the last
        # position. CLIP attends causally and reads at the end of the text, so padding has no effect.
        self._padded = family.normalisation == "sigmoid"
        self.tower = _tower(name, family.text, config, config.text_config, dtype or fast_dtype())

    def encode(self, texts: Sequence[str]) -> Floats:
        """Texts → (n, dimension) float32, unit length. Longer texts are truncated to the model's length."""
        import torch  # noqa: PLC0415 - as above

        vectors = np.empty((len(texts), self.space.dimension), np.float32)
        if not texts:
            return vectors
        tokens = self._tokenizer(
            list(texts),
            truncation=True,
            max_length=self._positions,
            padding="max_length" if self._padded else False,
        )["input_ids"]
        padding = self._tokenizer.pad_token_id or 0
        with torch.inference_mode():
            for rows, ids, mask in in_batches_by_length(tokens, TEXT_BATCH, padding):
                inputs = {"input_ids": torch.from_numpy(ids)}
                if not self._padded:
                    inputs["attention_mask"] = torch.from_numpy(mask)
                vectors[rows] = _unit(getattr(self.tower(**inputs), self._output))
        return vectors


def _tower(name: str, kind: str, whole: Any, part: Any, dtype: torch.dtype) -> torch.nn.Module:
    """One side of the model; ``whole`` and ``part`` are the configurations of the model and of the side."""
    import transformers  # noqa: PLC0415 - as above

    if hasattr(whole, "projection_dim"):
        # the full model projects to this dimension, whatever the part says
        part.projection_dim = whole.projection_dim
    try:
        tower: torch.nn.Module = getattr(transformers, kind).from_pretrained(name, config=part, dtype=dtype)
    except (OSError, ValueError, RuntimeError) as exc:
        raise not_loaded(name, exc) from exc
    return tower.eval().requires_grad_(requires_grad=False)


def _side(vision: Any) -> int:
    """The input side in pixels; for a model with variable aspect ratio (SigLIP 2) that of a square input."""
    if size := getattr(vision, "image_size", None):
        return int(size if isinstance(size, int) else max(size))
    return int(math.isqrt(vision.num_patches) * vision.patch_size)


def _unit(vectors: torch.Tensor) -> Floats:
    import torch  # noqa: PLC0415 - as above

    unit: Floats = torch.nn.functional.normalize(vectors.float(), dim=1).numpy()
    return unit
