"""The names of the environment variables that hold settings."""

from __future__ import annotations

PREFIX = "WILDTAG_"


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{name.upper()}"
