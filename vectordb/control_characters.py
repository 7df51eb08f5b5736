"""Characters that no name, label or value may have: unseen, they change how the text around them is shown."""

from __future__ import annotations

import unicodedata

_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # they reorder the text around them
_REFUSED = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control characters, halves of characters, and ends of lines


def is_control(char: str) -> bool:
    """Whether a character is a control character, half of one, an end of a line, or sets the direction of text.

    Marks of direction (U+200E, U+200F, U+061C) are none: names in Arabic and Hebrew need them, and they reorder
    nothing but what is beside them.
    """
    return char in _DIRECTIONS or unicodedata.category(char) in _REFUSED
