"""The Lua scripts, by name: changes in Redis that must be atomic."""

from __future__ import annotations

from importlib import resources


def source(*names: str) -> str:
    """The source of a script. Several names are concatenated in order, so shared functions come first."""
    return "\n".join(resources.files(__name__).joinpath(f"{name}.lua").read_text() for name in names)
