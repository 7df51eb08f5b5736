"""Which releases of Python have a known fault that files of strangers can use.

The versions are those of the CVE records of the Python Software Foundation.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

Release = tuple[int, int, int]


@dataclass(frozen=True)
class Fault:
    """``mended``: the first release without it, of each line that has it; later lines never had it.

    ``sign``: an attribute of ``os.path`` that the correction added, which also shows where a distribution has applied
    it to an older release.
    """

    cve: str
    what: str
    mended: Collection[Release]
    sign: str | None = None


FAULTS = (
    Fault("CVE-2025-4517", "an archive can overwrite files outside of the folder into which it is unpacked",
          ((3, 11, 13), (3, 12, 11), (3, 13, 4)), sign="ALLOW_MISSING"),
    Fault("CVE-2025-8194", "reading an archive may not end", ((3, 11, 14), (3, 12, 12), (3, 13, 6))),
    Fault("CVE-2026-82049", "the filter for links in archives can be passed",
          ((3, 11, 17), (3, 12, 15), (3, 13, 16))),
)  # fmt: skip


def faults_of(release: Release, attributes: Collection[str]) -> Iterator[Fault]:
    """The faults of this release. ``attributes``: those of its ``os.path``."""
    for fault in FAULTS:
        first = next((first for first in fault.mended if first[:2] == release[:2]), None)
        if first is not None and release < first and fault.sign not in attributes:
            yield fault


def advice(release: Release | None = None, path: Any = os.path) -> tuple[str, str] | None:
    """What is wrong with the release that runs, and what to do; ``None`` if nothing is known."""
    release = release or (sys.version_info[0], sys.version_info[1], sys.version_info[2])
    found = list(faults_of(release, dir(path)))
    if not found:
        return None
    wanted = max(first for fault in found for first in fault.mended if first[:2] == release[:2])
    said = "; ".join(f"{fault.cve}: {fault.what}" for fault in found)
    return said, (
        f"install Python {'.'.join(map(str, wanted))} or newer, or the current release of your distribution, which"
        " may have corrected an older number"
    )
