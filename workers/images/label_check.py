"""What a label must be that a person gives."""

from __future__ import annotations

import unicodedata

from tasks.labels.index_form import index_form
from vectordb.control_characters import is_control
from vectordb.errors import Permanent

LONGEST = 100  # characters of a label


class BadLabel(Permanent):
    """A label without a letter or digit, too long, or with control characters."""


def checked(label: str) -> str:
    """The label without surrounding and repeated blanks. Raises ``BadLabel``."""
    clean = " ".join(unicodedata.normalize("NFC", label).split())
    if any(map(is_control, clean)):
        raise BadLabel(f"the label {label!r} contains control characters")
    if len(clean) > LONGEST:
        raise BadLabel(f"the label has {len(clean)} characters; at most {LONGEST} are allowed")
    if not any(char.isalnum() for char in index_form(clean)):
        raise BadLabel(f"the label {label!r} has no letter or digit")
    return clean
