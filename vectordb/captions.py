"""What a caption is: a text and an id that follows from the text alone."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

# keys of a payload that mean something here
SOURCE = "source"  # who put it there, where that was not the import: taught captions can be listed and taken back
CANDIDATES = "candidates"  # what the extraction stage would find in it, kept so that it need not look again


def normalise(text: str) -> str:
    """Unicode NFC, every run of white space one space, nothing at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def caption_id(text: str) -> int:
    """An unsigned 64-bit id of the normalised text: the same caption has one id in every database."""
    return int.from_bytes(hashlib.blake2b(normalise(text).encode(), digest_size=8).digest(), "big")


@dataclass(frozen=True)
class Caption:
    """A caption as it is stored. ``payload`` is kept beside the text and may hold any JSON values."""

    id: int
    text: str
    payload: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str, **payload: object) -> Caption:
        """A caption of this text, with the id that follows from it."""
        return cls(caption_id(text), normalise(text), payload)
