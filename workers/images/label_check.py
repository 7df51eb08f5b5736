"""What a label must be that a person gives."""

from __future__ import annotations

import unicodedata

from tasks.labels.index_form import index_form
from vectordb.errors import Permanent

LONGEST = 100  # characters of a label
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # they reorder the text around them


class BadLabel(Permanent):
    """A label without a letter or digit, too long, or with control characters."""


def checked(label: str) -> str:
    """The label without surrounding and repeated blanks. Raises ``BadLabel``."""
    clean = " ".join(unicodedata.normalize("NFC", label).split())
    if any(unicodedata.category(char) in {"Cc", "Cs"} or char in _DIRECTIONS for char in clean):
        raise BadLabel(f"the label {label!r} contains control characters")
    if len(clean) > LONGEST:
        raise BadLabel(f"the label has {len(clean)} characters; at most {LONGEST} are allowed")
    if not any(char.isalnum() for char in index_form(clean)):
        raise BadLabel(f"the label {label!r} has no letter or digit")
    return clean
