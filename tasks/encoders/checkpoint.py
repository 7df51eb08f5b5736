"""Reads the properties of a CLIP or SigLIP model without loading it: its family, space and logit scale."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tasks.encoders.hub import HubUnreachable, may_be_on_hub, require_hub
from tasks.encoders.known import is_cached
from tasks.encoders.protocols import Space
from tasks.encoders.requirements import ModelNotLoaded, need, quiet_transformers

_SAMPLE = 65_536  # bytes hashed at each of 16 places of a weight file
_ADVICE = (
    "Give the folder of a saved CLIP or SigLIP model (config.json, model.safetensors, tokenizer and"
    " preprocessor files), or, with access to the hub, a hub name such as openai/clip-vit-large-patch14"
)


@dataclass(frozen=True)
class Family:
    """The transformers classes of one family, and how its similarities become probabilities.

    ``output`` names the projected vector in the result of the vision and the text model.
    """

    vision: str
    text: str
    output: tuple[str, str]
    normalisation: Literal["softmax", "sigmoid"]


_POOLED = ("pooler_output", "pooler_output")
_PROJECTED = ("image_embeds", "text_embeds")
FAMILIES = {
    "clip": Family("CLIPVisionModelWithProjection", "CLIPTextModelWithProjection", _PROJECTED, "softmax"),
    "siglip": Family("SiglipVisionModel", "SiglipTextModel", _POOLED, "sigmoid"),
    "siglip2": Family("Siglip2VisionModel", "Siglip2TextModel", _POOLED, "sigmoid"),
}


def not_loaded(name: str, exc: Exception) -> ModelNotLoaded:
    """The error for a model that does not exist; raise it from ``exc``."""
    cause = str(exc).strip().partition("\n")[0]
    where = "in that folder" if Path(name).is_dir() else "as a folder or on the hub"
    return ModelNotLoaded(f"the model {name!r} could not be loaded {where}. {_ADVICE}. Cause: {cause}")


def read_config(name: str) -> tuple[Any, Family]:
    """A model's configuration (a transformers object) and its family. Raises ``ModelNotLoaded``."""
    need("transformers", "transformers")
    from transformers import AutoConfig  # noqa: PLC0415 - takes seconds

    quiet_transformers()
    if may_be_on_hub(name) and not is_cached(name):
        try:
            require_hub()
        except HubUnreachable as exc:
            raise ModelNotLoaded(f"the model {name!r} has not been downloaded yet: {exc}") from exc
    try:
        config = AutoConfig.from_pretrained(name)
    except (OSError, ValueError, KeyError) as exc:
        raise not_loaded(name, exc) from exc
    family = FAMILIES.get(config.model_type)
    if family is None:
        raise ModelNotLoaded(
            f"the model {name!r} is of the family {config.model_type!r}, not one of {', '.join(FAMILIES)}. {_ADVICE}"
        )
    return config, family


def read_space(name: str) -> Space:
    """The space of a CLIP or SigLIP model. Reads its configuration and two numbers of its weights.

    The id is derived from the weights, not from the name: a folder and the hub give one model the same id.
    """
    config, family = read_config(name)
    path = _weight_file(name)
    scale, bias = _logit_numbers(path)
    if scale is None:
        raise ModelNotLoaded(f"the weights of {name!r} ({path.name}) contain no logit_scale. {_ADVICE}")
    dimension = int(
        config.projection_dim if family.normalisation == "softmax" else config.text_config.projection_size
    )
    return Space(
        id=f"{config.model_type}-{dimension}-{_fingerprint(path)}",
        dimension=dimension,
        logit_scale=math.exp(scale),
        logit_bias=bias or 0.0,
        normalisation=family.normalisation,
    )


def _weight_file(name: str) -> Path:
    """The file that contains ``logit_scale``: the only one, or the right one of several shards."""
    from transformers.utils.hub import cached_file  # noqa: PLC0415 - as above

    def find(file: str) -> Path | None:
        found = cached_file(name, file, _raise_exceptions_for_missing_entries=False)
        return Path(found) if found else None

    try:
        if whole := find("model.safetensors"):
            return whole
        if index := find("model.safetensors.index.json"):
            import json  # noqa: PLC0415 - only for sharded models

            shard = json.loads(index.read_text())["weight_map"].get("logit_scale")
            if shard and "/" not in shard and (path := find(shard)):
                return path
        if pickled := find("pytorch_model.bin"):
            return pickled
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise not_loaded(name, exc) from exc
    raise ModelNotLoaded(f"the model {name!r} has neither model.safetensors nor pytorch_model.bin. {_ADVICE}")


def _logit_numbers(path: Path) -> tuple[float | None, float | None]:
    """``logit_scale`` (its logarithm, as stored) and ``logit_bias``; reads nothing else."""
    import torch  # noqa: PLC0415 - torch is loaded only when needed

    names = ("logit_scale", "logit_bias")
    try:
        if path.suffix == ".safetensors":
            from safetensors import safe_open  # noqa: PLC0415 - as above

            with safe_open(path, framework="pt") as file:
                present = set(file.keys())
                tensors = [file.get_tensor(key) if key in present else None for key in names]
        else:
            state = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
            tensors = [state.get(key) for key in names]
    except Exception as exc:  # two readers, each with its own errors
        raise ModelNotLoaded(f"the weights in {path} cannot be read: {exc}") from exc
    scale, bias = (None if tensor is None else float(tensor.float().reshape(-1)[0]) for tensor in tensors)
    return scale, bias


def _fingerprint(path: Path) -> str:
    """A hash of a weight file's size and of samples of its content: reading gigabytes would take seconds."""
    size = path.stat().st_size
    digest = hashlib.blake2b(str(size).encode(), digest_size=6)
    with path.open("rb") as file:
        for part in range(16):
            file.seek(max(0, (size - _SAMPLE) * part // 15))
            digest.update(file.read(_SAMPLE))
    return digest.hexdigest()
