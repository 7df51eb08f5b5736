"""The release of this process."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def release() -> str:
    """The version of the installed package; ``?`` where it runs without being installed."""
    try:
        return version("wildtag")
    except PackageNotFoundError:
        return "?"
