"""Draws names with CLIPSeg (Lüddecke and Ecker, CVPR 2022), an open-vocabulary segmenter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from tasks.encoders.batch_size import batch_size
from tasks.encoders.devices import Device, choose, device_errors
from tasks.encoders.requirements import ModelNotLoaded
from tasks.message_parts import Floats
from tasks.model_description import Description
from tasks.segmenters.loading import load

AT_ONCE = 8  # names per batch


class CLIPSeg:
    """An ``OpenVocabularySegmenter``. Images are resized to the model's square input, which is the planes' size."""

    def __init__(self, name: str, *, threads: int | None = None, device: Device | None = None) -> None:
        """``device``: by default the best one. Raises ``ModelNotLoaded``, ``DeviceUnavailable``."""
        self._device = device or choose()
        self._model, self._processor = load(name, "CLIPSegForImageSegmentation", threads, self._device)
        self._batch = batch_size(self._device, AT_ONCE)
        from transformers import AutoTokenizer  # noqa: PLC0415 -- takes seconds

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(name)
        except (OSError, ValueError, KeyError) as exc:
            raise ModelNotLoaded(f"the tokenizer of the model {name!r} cannot be loaded: {exc}") from exc
        text: Any = self._model.config.text_config
        if 2 * len(self._tokenizer) < text.vocab_size:  # the library creates an empty one if there is none
            raise ModelNotLoaded(
                f"the model {name!r} has no matching tokenizer: {len(self._tokenizer):,} tokens, but the"
                f" model expects {text.vocab_size:,}"
            )
        self._longest = int(text.max_position_embeddings)

    @property
    def description(self) -> Description:
        """See ``Described``."""
        return self._device.described(self._batch.size, self._model.dtype)

    def draw(self, image: Image.Image, names: Sequence[str]) -> Floats:
        """See ``OpenVocabularySegmenter.draw``. Raises ``DeviceOutOfMemory``, ``DeviceFailed``."""
        import torch  # noqa: PLC0415 -- torch is loaded by those who need it

        pixels = self._processor(image, return_tensors="pt")["pixel_values"].to(self._model.dtype)

        def planes(part: slice) -> torch.Tensor:
            some = list(names[part])
            tokens = self._tokenizer(
                some, padding=True, truncation=True, max_length=self._longest, return_tensors="pt"
            ).to(self._device.name)
            found = self._model(
                input_ids=tokens["input_ids"],
                attention_mask=tokens["attention_mask"],
                pixel_values=pixels.to(self._device.name).expand(len(some), -1, -1, -1),
            )
            logits = found.logits.reshape(len(some), *found.logits.shape[-2:])  # a single name has no batch axis
            return torch.sigmoid(logits.float()).cpu()

        with device_errors(self._device), torch.inference_mode():
            drawn: Floats = torch.cat(list(self._batch.parts(len(names), planes))).numpy()
        return drawn
