"""Draws names with CLIPSeg (Lüddecke and Ecker, CVPR 2022), an open-vocabulary segmenter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from tasks.encoders.requirements import ModelNotLoaded
from tasks.message_parts import Floats
from tasks.segmenters.loading import load

AT_ONCE = 8  # names per batch


class CLIPSeg:
    """An ``OpenVocabularySegmenter``. Images are resized to the model's square input, which is the planes' size."""

    def __init__(self, name: str, *, threads: int | None = None) -> None:
        """Raises ``ModelNotLoaded``."""
        self._model, self._processor = load(name, "CLIPSegForImageSegmentation", threads)
        from transformers import AutoTokenizer  # noqa: PLC0415 -- takes seconds

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(name)
        except (OSError, ValueError, KeyError) as exc:
            raise ModelNotLoaded(f"the tokenizer of the model {name!r} cannot be loaded: {exc}") from exc
        text: Any = self._model.config.text_config  # type: ignore[union-attr]  # of the library's class
        if 2 * len(self._tokenizer) < text.vocab_size:  # the library creates an empty one if there is none
            raise ModelNotLoaded(
                f"the model {name!r} has no matching tokenizer: {len(self._tokenizer):,} tokens, but the"
                f" model expects {text.vocab_size:,}"
            )
        self._longest = int(text.max_position_embeddings)

    def draw(self, image: Image.Image, names: Sequence[str]) -> Floats:
        """See ``OpenVocabularySegmenter.draw``."""
        import torch  # noqa: PLC0415 -- torch is loaded by those who need it

        pixels = self._processor(image, return_tensors="pt")["pixel_values"]
        planes = []
        with torch.inference_mode():
            for begin in range(0, len(names), AT_ONCE):
                some = list(names[begin : begin + AT_ONCE])
                tokens = self._tokenizer(
                    some, padding=True, truncation=True, max_length=self._longest, return_tensors="pt"
                )
                found = self._model(
                    input_ids=tokens["input_ids"],
                    attention_mask=tokens["attention_mask"],
                    pixel_values=pixels.expand(len(some), -1, -1, -1),
                )
                logits = found.logits.reshape(len(some), *found.logits.shape[-2:])  # a single name has no batch axis
                planes.append(torch.sigmoid(logits.float()).numpy())
        drawn: Floats = np.concatenate(planes)
        return drawn
