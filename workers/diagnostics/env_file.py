"""Checks the names in an env file, which Compose reads and wildtag itself does not.

Compose passes on the names that its file lists; a misspelt one reaches no process and would go unnoticed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from workers.diagnostics.check import Check
from workers.settings.names import old_names, old_variable, unknown

_LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$", re.MULTILINE)


def check_env_file(file: Path, settings: Iterable[str]) -> Iterator[Check]:
    """Check the names of settings in this file. ``settings``: all valid names.

    Yields a check for each misspelt, renamed or removed name, or a single one if all are valid.
    """
    given = dict(_LINE.findall(file.read_text(encoding="utf-8")))
    wrong = [
        *(Check.failed(file.name, fault, "correct the name") for fault in unknown(given, settings)),
        *(Check.failed(file.name, old_variable(old), "change the line") for old in old_names(given)),
    ]
    yield from wrong or [Check.passed(file.name, "all names of settings are right")]
