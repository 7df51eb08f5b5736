"""Names of settings and options that have changed, and names that are probably misspelt.

An old name is refused and never ignored. A variable with wildtag's prefix that is no setting is reported.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping

from vectordb.errors import Permanent
from workers.settings.secret_settings import FILE_VARIABLES
from workers.settings.variables import PREFIX, variable

RENAMED = {
    "dimmed": ("background_dimming", ""),
    "drawer": ("clipseg_model", ""),
    "quality": ("test_time_augmentation", "true in place of best"),
}
"""Old name of a setting: its new name, and what else has changed."""

FIXED = {
    "batch_wait_ms": "20 milliseconds",
    "cache_days": "30 days",
    "redis_target_every_s": "5 seconds",
}
"""Settings that were removed, and the value that is now fixed."""

RENAMED_OPTIONS = {
    "--afresh": ("--no-resume", ""),
    "--drawer": ("--clipseg", ""),
    "--quality": ("--test-time-augmentation", "in place of --quality best"),
    "--way": ("--method", ""),
}
"""Old name of a command-line option: its new name, and what else has changed."""

NO_SETTINGS = frozenset({
    "WILDTAG_STACK", "WILDTAG_TEST_QDRANT_API_KEY", "WILDTAG_TEST_QDRANT_URL",
    "WILDTAG_TEST_S3_ACCESS_KEY", "WILDTAG_TEST_S3_ENDPOINT", "WILDTAG_TEST_S3_SECRET_KEY",
})  # fmt: skip
"""Variables with the prefix that others read: the tests, and the supervisor."""


class BadSetting(Permanent):
    """Settings are given in a way that is refused. The text names the variable, and shows no secret."""


class OldName(BadSetting):
    """A setting or an option is given by a name that is no longer valid."""


def refuse_old_names(environment: Mapping[str, str]) -> None:
    """Raise ``OldName`` for the first variable that names a renamed or removed setting."""
    for old in old_names(environment):
        raise OldName(old_variable(old))


def old_names(environment: Mapping[str, str]) -> Iterator[str]:
    """The renamed and removed settings for which there is a variable. An empty variable counts as not set."""
    given = {name.upper() for name, value in environment.items() if value and name.upper().startswith(PREFIX)}
    yield from (old for old in (*RENAMED, *FIXED) if variable(old) in given)


def old_variable(old: str) -> str:
    """A one-line message about the variable of a renamed or removed setting."""
    if old in FIXED:
        return f"{variable(old)} is no longer a setting: the value is fixed at {FIXED[old]}. Remove the variable"
    new, note = RENAMED[old]
    return f"{variable(old)} has been renamed: set {variable(new)}{f' ({note})' if note else ''}"


def old_option(option: str, valid: Collection[str]) -> str | None:
    """A one-line message about a renamed option; ``None`` for any other option.

    ``valid``: the options of the command; it must have the new one.
    """
    new, note = RENAMED_OPTIONS.get(option, ("", ""))
    if new not in valid:
        return None
    return f"the option {option} has been renamed: use {new}{f' ({note})' if note else ''}"


def unknown(environment: Mapping[str, str], settings: Iterable[str]) -> Iterator[str]:
    """A warning for each variable with the prefix that is neither a setting nor otherwise known.

    ``settings``: the names of all settings. Old names are left out: they are refused. Values are not shown.
    """
    known = sorted(settings)
    quiet = {variable(name) for name in (*known, *RENAMED, *FIXED)} | NO_SETTINGS | FILE_VARIABLES
    for name in sorted(environment):
        if environment[name] and name.upper().startswith(PREFIX) and name.upper() not in quiet:
            near = difflib.get_close_matches(name.upper().removeprefix(PREFIX).lower(), known, n=1)
            hint = f"; did you mean {variable(near[0])}?" if near else ""
            yield f"{name} is not a setting of wildtag and has no effect{hint}"
