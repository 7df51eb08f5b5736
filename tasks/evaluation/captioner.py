"""A captioning model as baseline: its answer about an image is split into candidates.

As in the paper's captioning baselines, the candidates are separated by commas, and the encoder compares them with the
image only. Supports the image-text-to-text models of ``transformers``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from tasks.cache import Cache
from tasks.encoders.batch_size import batch_size
from tasks.encoders.devices import Device, choose, device_errors, placed
from tasks.encoders.hub import require_hub_for
from tasks.encoders.protocols import TextEncoder
from tasks.encoders.requirements import ModelNotLoaded, need, quiet_transformers
from tasks.evaluation.answers import SHOWN, Answer, Pictures
from tasks.extraction import OBJECT
from tasks.message_parts import Candidate, Hit, Vectors
from tasks.messages import Extracted
from tasks.model_description import Description
from tasks.scoring import score
from vectordb.captions import caption_id

LONGEST = 30  # tokens per answer
AT_ONCE = 4  # images per batch
LIST = "List the objects in the image, comma-separated. Omit any superfluous text."
# prompts for families without a chat template; other models just caption
QUESTIONS = {
    "blip-2": "Question: what's in the image? Answer:",
    "instructblip": "Question: what's in the image? Answer:",
    "llava": f"<image>\nUSER: {LIST}\nASSISTANT:",
}


_WANTED = (
    "Give the folder of a saved model (config.json, model.safetensors, tokenizer and processor files),"
    " or, with access to the hub, a hub name such as Salesforce/blip2-flan-t5-xl or"
    " llava-hf/llava-1.5-7b-hf."
)


class Captioner(Protocol):
    """Images to texts."""

    def describe(self, pictures: Sequence[Image.Image]) -> list[str]:
        """One text per RGB image."""
        ...


class HFCaptioner:
    """A BLIP-2, LLaVA or similar model, by hub name or folder."""

    def __init__(self, name: str, *, device: Device | None = None) -> None:
        """``device``: by default the best one.

        Raises ``ModelNotLoaded``, ``MissingPackage``, ``DeviceUnavailable``.
        """
        need("transformers", "transformers")
        if name.startswith("~"):
            name = str(Path(name).expanduser())  # a shell expands ~ only at the beginning of a word
        if name.startswith(("/", "./", "../")) and not Path(name).is_dir():
            raise ModelNotLoaded(f"the captioner {name!r} could not be loaded: there is no such folder. {_WANTED}")
        from transformers import AutoModelForImageTextToText, AutoProcessor  # noqa: PLC0415 - takes seconds

        quiet_transformers()
        self._device = device or choose()
        try:
            require_hub_for(name)
            # neither signature has types
            self._processor: Any = AutoProcessor.from_pretrained(name)  # type: ignore[no-untyped-call]
            model: Any = AutoModelForImageTextToText.from_pretrained(name, dtype=self._device.dtype)
        except Exception as exc:  # damaged files may raise any error
            raise _not_loaded(name, exc) from exc
        self._model = placed(model, self._device)
        self._batch = batch_size(self._device, AT_ONCE)
        self._question = self._asked(model.config.model_type)
        if tokenizer := getattr(self._processor, "tokenizer", None):
            tokenizer.padding_side = "left"  # the answer starts where the question ends

    @property
    def description(self) -> Description:
        """See ``Described``."""
        return self._device.described(self._batch.size, self._model.dtype)

    def describe(self, pictures: Sequence[Image.Image]) -> list[str]:
        """See ``Captioner``. Raises ``DeviceOutOfMemory``, ``DeviceFailed``."""
        with device_errors(self._device):
            parts = self._batch.parts(len(pictures), lambda part: self._answers(list(pictures[part])))
            return [text for answers in parts for text in answers]

    def _answers(self, pictures: list[Image.Image]) -> list[str]:
        import torch  # noqa: PLC0415 - torch is loaded only when needed

        options: dict[str, Any] = {"images": pictures, "return_tensors": "pt"}
        if self._question is not None:
            options |= {"text": [self._question] * len(pictures), "padding": True}
        inputs = self._processor(**options).to(self._device.name)
        inputs["pixel_values"] = inputs["pixel_values"].to(self._model.dtype)
        with torch.inference_mode():
            tokens = self._model.generate(**inputs, max_new_tokens=LONGEST, do_sample=False)
        asked = inputs.get("input_ids")
        # most models repeat the question before the answer
        if asked is not None and torch.equal(tokens[:, : asked.shape[1]], asked):
            tokens = tokens[:, asked.shape[1] :]
        return [str(text) for text in self._processor.batch_decode(tokens, skip_special_tokens=True)]

    def _asked(self, family: str) -> str | None:
        if getattr(self._processor, "chat_template", None):
            content = [{"type": "image"}, {"type": "text", "text": LIST}]
            chat = [{"role": "user", "content": content}]
            return str(self._processor.apply_chat_template(chat, add_generation_prompt=True))
        return QUESTIONS.get(family)


@dataclass(frozen=True)
class Captioned:
    """The method ``captioner``. The whole answer is the evidence of every candidate."""

    name: str
    captioner: Captioner
    encoder: TextEncoder
    cache: Cache

    def prepare(self) -> None:
        """Run the text encoder once."""
        self.encoder.encode([OBJECT])

    def answer(self, batch: Pictures) -> list[Answer]:
        """See ``Method``."""
        texts = [" ".join(text.split()) for text in self.captioner.describe(batch.decode())]
        candidates = tuple(tuple(Candidate(label, (0,)) for label in split(text)) for text in texts)
        embedded = batch.embedded
        extracted = Extracted(
            objects=embedded.objects,
            revision=embedded.revision,
            vectors=embedded.vectors,
            centroids=Vectors.of(embedded.vectors.array() * 0),  # no weight at alpha 1
            hits=tuple((Hit(caption_id(text), text, 0.0),) for text in texts),
            candidates=candidates,
        )
        scored = score(extracted, self.encoder, self.cache, alpha=1.0, max_tags=SHOWN)
        return [
            Answer(tags, (text,), (None,), candidates=len(found))
            for tags, text, found in zip(scored.tags, texts, candidates, strict=True)
        ]


def split(answer: str) -> list[str]:
    """The candidates of an answer, separated by commas, without repetitions; ``object`` for an empty one."""
    parts = (part.strip().strip(".").strip().lower() for part in answer.split(","))
    return list(dict.fromkeys(part for part in parts if part)) or [OBJECT]


def _not_loaded(name: str, exc: Exception) -> ModelNotLoaded:
    cause = " ".join(str(exc).split())[:300]
    if isinstance(exc, ImportError):
        return ModelNotLoaded(f"the captioner {name!r} needs a package that is not installed: {cause}")
    return ModelNotLoaded(
        f"the captioner {name!r} could not be loaded as a folder or from the hub. {_WANTED} Cause: {cause}"
    )
