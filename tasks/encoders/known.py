"""The encoders that ``wildtag models`` lists: ``models.toml``, with what is known of each."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from tasks.encoders import BUNDLED
from tasks.encoders.hub import may_be_on_hub
from vectordb.decoders import converted

_LIST = Path(__file__).with_name("models.toml")
_FLOAT_BYTES = 4


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A known encoder. ``models.toml`` explains the fields and says where the values come from."""

    name: str
    title: str
    dimension: int
    parameters: float
    licence: str
    imagenet: float | None = None
    ms: float | None = None

    @property
    def download(self) -> int:
        """About the size of its weights in bytes; 0 for the bundled encoder, which is installed with its packages."""
        return 0 if self.name == BUNDLED else round(self.parameters * 1e6) * _FLOAT_BYTES


def known_models() -> dict[str, Model]:
    """The known encoders, by name."""
    listed = tomllib.loads(_LIST.read_text(encoding="utf-8"))
    return {name: converted({"name": name, **entry}, Model) for name, entry in listed.items()}


def is_cached(name: str) -> bool:
    """Whether an encoder can be loaded without a download: the bundled one, a folder, or in the cache of the hub."""
    if name == BUNDLED or Path(name).is_dir():
        return True
    if not may_be_on_hub(name):
        return False
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 - takes a second

    weights = (
        "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"
    )  # fmt: skip
    there = [isinstance(try_to_load_from_cache(name, file), str) for file in ("config.json", *weights)]
    return there[0] and any(there[1:])
