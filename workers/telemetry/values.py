"""Makes the values of a log line safe: without secrets, bounded, and without characters that act on a terminal."""

from __future__ import annotations

import codecs
import math
from collections.abc import Mapping, MutableMapping
from collections.abc import Set as AbstractSet
from typing import Any

from workers.telemetry.redaction import SHORTEST, Redactor

LONGEST = 4096  # characters of a value
LONGEST_TRACEBACK = 32_768
ITEMS = 50  # of a list or a dictionary
DEPTH = 3
TRACEBACKS = frozenset({"exception", "stack"})
_OURS = frozenset({"timestamp", "level"})  # made by the processors before
_BIDI = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}  # they reorder what is shown
IN_JSON = {number: f"\\u{number:04x}" for number in (*range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF, *_BIDI)}
"""What JSON allows in a string, and a terminal or a reader of lines takes for something else."""
_ESCAPED = {
    **{number: f"\\x{number:02x}" for number in (*range(0x20), *range(0x7F, 0xA0))},
    **{number: f"\\u{number:04x}" for number in (0x2028, 0x2029, 0xFEFF, *_BIDI)},
    0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t",
}  # fmt: skip


class SafeValues:
    """A processor of structlog. ``redactor``: removes secrets from every text."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def __call__(self, _logger: object, _name: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """See structlog."""
        return {
            str(key): value
            if key in _OURS
            else self._safe(value, LONGEST_TRACEBACK if key in TRACEBACKS else LONGEST, DEPTH)
            for key, value in event_dict.items()
        }

    def _safe(self, value: Any, most: int, depth: int) -> Any:
        if isinstance(value, bool) or value is None or type(value) is int:
            return value
        if isinstance(value, float) and math.isfinite(value):
            return value
        if depth and isinstance(value, Mapping):
            some = {self._text(str(k), 200): self._safe(v, most, depth - 1) for k, v in [*value.items()][:ITEMS]}
            return some if len(value) <= ITEMS else {**some, "…": f"{len(value) - ITEMS:,} more"}
        if depth and isinstance(value, list | tuple | AbstractSet):
            items = [self._safe(one, most, depth - 1) for one in [*value][:ITEMS]]
            return items if len(value) <= ITEMS else [*items, f"… ({len(value) - ITEMS:,} more)"]
        return self._text(value if isinstance(value, str) else _described(value), most)

    def _text(self, text: str, most: int) -> str:
        size = len(text)
        if size < SHORTEST:
            return without_surrogates(text)
        # a secret that begins before the cut must be found as a whole; what follows is dropped
        text = self._redactor.text(text if size <= most + 4096 else text[: most + 4096])
        if size > most:
            text = f"{text[:most]}… (cut, {size:,} characters)"
        return without_surrogates(text)


def _described(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value):,} bytes>"  # they may be those of an image
    if hasattr(value, "__array__"):
        return f"<{type(value).__name__} {getattr(value, 'shape', '')}>"
    try:
        return str(value)
    except Exception as exc:  # its __str__ has a bug; the line is more important
        return f"<{type(value).__name__}, which cannot be shown: {type(exc).__name__}>"


def without_surrogates(text: str) -> str:
    """A text that UTF-8 can encode: bytes of a key that are not UTF-8 are shown as ``\\xff``."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="surrogateescape_or_escape").decode(errors="backslashreplace")
    return text


def on_one_line(text: str) -> str:
    """A text without characters that end a line, or act on a terminal."""
    return text if text.isprintable() else text.translate(_ESCAPED)


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    shown = b""
    for one in error.object[error.start : error.end]:
        number = ord(one)
        shown += bytes([number - 0xDC00]) if 0xDC80 <= number <= 0xDCFF else f"\\u{number:04x}".encode()
    return shown, error.end


codecs.register_error("surrogateescape_or_escape", _escape)
