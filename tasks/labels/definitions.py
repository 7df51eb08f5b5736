"""Reads captions that define a noun: "bell pepper, a kind of sweet pepper". Without a parser."""

from __future__ import annotations

import re

LONGEST_DEFINITION = 160  # characters

_DEFINITION = re.compile(
    r"(?P<name>[^,;:.!?]+?)(?:,| is) an? (?:kind|type|sort|breed|species|variety|form) of (?P<broader>[^,;:.!?]+)\.?",
    re.IGNORECASE,
)
_COMPLEMENT = re.compile(r" (?:of|in|on|for|to|with|at|from) ")
_ARTICLE = re.compile(r"^(?:an?|the) (?=.)", re.IGNORECASE)


def sides(caption: str) -> tuple[str, str] | None:
    """Both sides of "X, a kind of Y" or "X is a kind of Y" in lower case; ``None`` for any other caption."""
    match = _DEFINITION.fullmatch(caption.strip()) if len(caption) <= LONGEST_DEFINITION else None
    if match is None:
        return None
    name, broader = (_ARTICLE.sub("", match[side].strip()).lower() for side in ("name", "broader"))
    return name, broader


def head_noun(name: str) -> str | None:
    """The last word before a complement, if there are others: "cloth" of "linen cloth for tables"."""
    words = _COMPLEMENT.split(name, maxsplit=1)[0].split()
    return words[-1] if len(words) > 1 else None
