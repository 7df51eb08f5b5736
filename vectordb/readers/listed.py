"""Lists of captions: several captions in one value, as lists, as lists of objects, or as the text of a list."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

# names of the text in an object within a list of captions, most likely first
INNER_NAMES = ("raw", "caption", "text", "sentence", "description", "phrase", "comment", "value", "content", "title")

_STRING = re.compile(
    r"""\s*(?:u|b)?(?:'(?P<one>(?:[^'\\]|\\.)*)'|"(?P<two>(?:[^"\\]|\\.)*)")\s*(?P<end>,|\Z|(?=['"]))""", re.DOTALL
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_SIGNS = {"n": "\n", "t": "\t", "r": "\r", "b": " ", "f": " ", "0": " "}
_PAIRS = {"[": "]", "(": ")", "{": "}"}
_NOTHING = {"", "None", "null", "nan", "NaN"}


# conversations about a picture: only what the model answers describes it
_SPEAKERS, _ANSWERING = ("from", "role", "speaker"), {"gpt", "assistant", "model", "bot", "chatgpt", "ai"}


class NotListed(ValueError):
    """A value is neither a text nor a list of captions; the message says what it is."""


def texts_of(value: object) -> list[str]:
    """The captions in a decoded JSON value: a text, a list of texts, or a list of objects with texts.

    Nulls are left out, and so are the questions of a conversation. Raises ``NotListed`` for any other value.
    """
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        name = inner_name(value)
        if name is None:
            raise NotListed(f"an object without a text, but with: {', '.join(map(str, value)) or 'nothing'}")
        return texts_of(value[name])
    if isinstance(value, Sequence):
        found: list[str] = []
        for one in value:
            if isinstance(one, Mapping) and _asks(one):
                continue
            if isinstance(one, Sequence) and not isinstance(one, str):
                raise NotListed("a list within a list")
            found += texts_of(one)
        return found
    raise NotListed(type(value).__name__)


def _asks(row: Mapping[str, object]) -> bool:
    """Whether an object is a turn of a conversation by somebody else than the model."""
    return any(isinstance(who := row.get(name), str) and who.lower() not in _ANSWERING for name in _SPEAKERS)


def inner_name(row: Mapping[str, object]) -> str | None:
    """The name of the text in an object of a list of captions, if it has one."""
    lowered = {str(name).lower(): name for name in reversed(list(row))}
    return next((lowered[name] for name in INNER_NAMES if isinstance(row.get(lowered.get(name, "")), str)), None)


def is_written_list(value: str) -> bool:
    """Whether a text may be a list that was written as text: ``["a cat", "a dog"]``, ``['a cat' 'a dog']``."""
    text = value.strip()
    return len(text) > 1 and _PAIRS.get(text[0]) == text[-1] and text[1:-1].lstrip()[:1] in {'"', "'", ""}


def written_list(value: str) -> list[str] | None:
    """The texts in a list that was written as text, as JSON, Python, NumPy or PostgreSQL writes it.

    ``None`` if it is not such a list. A list of nothing gives no texts.
    """
    text = value.strip()
    if text in _NOTHING:
        return []
    if not is_written_list(text):
        return None
    if text[0] == "[":
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list) and all(one is None or isinstance(one, str) for one in found):
            return [one for one in found if one is not None]
    inside, at = text[1:-1].strip(), 0
    texts: list[str] = []
    while at < len(inside):
        match = _STRING.match(inside, at)
        if match is None:
            return None
        texts.append(_ESCAPE.sub(_unescaped, match["one"] if match["one"] is not None else match["two"]))
        at = match.end()
    return texts


def are_written_lists(values: Sequence[str]) -> bool:
    """Whether a column holds lists that were written as text: nearly all values are, and one has a text."""
    there = [value for value in values if value.strip() not in _NOTHING]
    lists = [found for value in there if (found := written_list(value)) is not None]
    return bool(there) and len(lists) * 10 >= len(there) * 9 and any(lists)


def _unescaped(match: re.Match[str]) -> str:
    for digits in match.groups()[:3]:
        if digits:
            number = int(digits, 16)
            return chr(number) if number < 0x110000 else ""
    return _SIGNS.get(match[4], match[4])
