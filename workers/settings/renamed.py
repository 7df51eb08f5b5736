"""Settings that have a new name. A stack that still uses an old one stops with one line that says the new one."""

from __future__ import annotations

from collections.abc import Mapping

from vectordb.errors import Permanent

RENAMED = {
    "WILDTAG_DIMMED": "WILDTAG_BACKGROUND_DIMMING",
    "WILDTAG_DRAWER": "WILDTAG_CLIPSEG_MODEL",
}
"""Old names of environment variables and their new names."""


class SettingRenamed(Permanent):
    """The environment has a setting by its old name."""


def refuse_renamed(environment: Mapping[str, str]) -> None:
    """Raise ``SettingRenamed`` if ``environment`` sets a variable by its old name; an empty value is not set."""
    for name, value in environment.items():
        new = RENAMED.get(name.upper())
        if new is not None and value:
            raise SettingRenamed(f"{name.upper()} has been renamed: set {new}")
