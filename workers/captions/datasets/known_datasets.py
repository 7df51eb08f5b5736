"""The list of caption sets, ``datasets.toml``, or a list of the user's own in the same form."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from vectordb.decoders import converted
from vectordb.errors import Permanent
from vectordb.library import UnsafeName, safe

CATALOGUE = Path(__file__).with_name("datasets.toml")


class NoDataset(Permanent):
    """The list cannot be read, or does not have the caption set."""


class Dataset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A caption set. Its fields are explained in ``datasets.toml``; ``facts`` says where their values come from."""

    name: str
    title: str
    licence: str
    source: str
    captions: int | None = None
    bytes: int | None = None
    column: str | None = None
    format: str | None = None
    hub: str | None = None
    files: str | None = None
    most: int | None = None
    urls: tuple[str, ...] = ()
    member: str | None = None
    sha256: str | None = None
    facts: dict[str, str] = {}

    def __post_init__(self) -> None:
        if (self.hub is None) == (not self.urls):
            raise ValueError(f"{self.name}: either `hub` or `urls` is needed")
        if self.hub is not None and self.files is None:
            raise ValueError(f"{self.name}: `hub` needs `files`")
        if self.sha256 is not None and len(self.urls) != 1:
            raise ValueError(f"{self.name}: `sha256` belongs to one address")


def catalogue(path: Path = CATALOGUE) -> dict[str, Dataset]:
    """The caption sets of a list, by name. Raises ``NoDataset``."""
    try:
        listed = tomllib.loads(path.read_text(encoding="utf-8"))
        return {safe(name): converted({"name": name, **entry}, Dataset) for name, entry in listed.items()}
    except (OSError, ValueError, TypeError, RecursionError, UnsafeName, msgspec.ValidationError) as exc:
        raise NoDataset(f"the list of caption sets {path} cannot be read: {exc}") from exc
