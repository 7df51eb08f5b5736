"""The Lua scripts, by name: what must be whole or not there in Redis."""

from __future__ import annotations

from importlib import resources


def source(*names: str) -> str:
    """The text of a script; of several, one behind the other: what is shared comes first."""
    return "\n".join(resources.files(__name__).joinpath(f"{name}.lua").read_text() for name in names)
