"""How the text of a source is read, where users know better than the detection."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TextOptions:
    """``delimiter``: of a table; ``encoding``: a name that Python knows; ``None`` means detected.

    ``sure``: a user named the format. Otherwise plain text may turn out to be a table.
    """

    delimiter: str | None = None
    encoding: str | None = None
    sure: bool = False


DETECTED = TextOptions()
