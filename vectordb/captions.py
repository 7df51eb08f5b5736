"""A caption: a text and an id derived from the text."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

# reserved keys of a payload
SOURCE = "source"  # who added it, if not the import: taught captions can be listed and removed by it
CANDIDATES = "candidates"  # cached candidates of the extraction stage


def normalise(text: str) -> str:
    """Normalise to Unicode NFC, replace white space by single spaces, and strip the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def caption_id(text: str) -> int:
    """An unsigned 64-bit id of the normalised text, equal in every database."""
    return int.from_bytes(hashlib.blake2b(normalise(text).encode(), digest_size=8).digest(), "big")


@dataclass(frozen=True)
class Caption:
    """A stored caption. ``payload`` is stored with the text and may hold any JSON values."""

    id: int
    text: str
    payload: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str, **payload: object) -> Caption:
        """Create a caption with the id of its text."""
        return cls(caption_id(text), normalise(text), payload)
