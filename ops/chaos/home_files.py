"""The files of a home, and the folder for temporary files: each is of a known kind, and belongs to something."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from workers.settings.settings import Settings
from workers.supervision.temporary import remove_abandoned

OF_ONNX_RUNTIME = ".ses"  # 51 bytes with a number, one for each folder for temporary files
_SHOWN = 5  # files of one kind


@dataclass(frozen=True)
class Owners:
    """What files may belong to. ``versions``: of captions. ``services``: names of logs. ``logs_kept``: of each."""

    versions: Collection[str]
    services: Collection[str]
    logs_kept: int


Rule = Callable[[Owners, Sequence[str]], str | None]
"""Gets the parts of a path that its pattern has in groups. Returns what is wrong."""


def _fine(_owners: Owners, _parts: Sequence[str]) -> str | None:
    return None


def _version(owners: Owners, parts: Sequence[str]) -> str | None:
    return None if parts[0] in owners.versions else f"is of the captions version {parts[0]}, which there is not"


def _log(owners: Owners, parts: Sequence[str]) -> str | None:
    name, _, number = parts
    if name not in owners.services:
        return "is of a process that there is not"
    return f"is more than {owners.logs_kept} logs" if int(number or 0) > owners.logs_kept else None


def _few(_owners: Owners, parts: Sequence[str]) -> str | None:
    return f"is of more than {_DAMAGED} damaged indexes" if int(parts[0]) > _DAMAGED else None


_OTHERS = ("supervisor", "prefork", "redis")  # that have logs, beside the services
_DAMAGED = 2  # damaged image indexes that are kept
RULES: tuple[tuple[str, Rule], ...] = (
    (r"(?:gateway\.key|flower\.auth|flower/tasks)", _fine),
    (r"cache/[^/]+\.npz", _fine),
    (r"cache/(?:graphs|tuning)/[^/.][^/]*", _fine),
    (r"captions/(?:\.owner|[^/]+/(?:active|\.read))", _fine),
    (r"captions/wildtag-[^/]+\.lock", _fine),  # of a process that was killed while it changed a version on a server
    (r"captions/[^/]+/\.([^/]+@[^/]+)\.lock", _version),
    (r"captions/[^/]+/([^/.][^/]*@[^/]+)/.+", _version),
    (r"images/[^/]+/(?:images|owner\.lock|images/.+)", _fine),
    (r"images/[^/]+/images\.damaged-(\d+)/.+", _few),
    (r"logs/(.+?)\.log((?:\.(\d+))?)", _log),
    (r"redis/(?:redis\.conf|written-by\.json|dump\.rdb|appendonlydir/[^/]+)", _fine),
    (r"redis/damaged/[^/]+", _fine),
    (r"run/(?:lock|encoder\.lock|metrics/[^/.][^/]*)", _fine),
)
OF_THE_RUN = re.compile(r"(?:own-redis/.*|clocks/.*|temporary/.*|up\.log|inbox/.*)", re.DOTALL)
"""What the run itself puts there. Its bucket is compared apart."""


def leaked_files(home: Path, owners: Owners) -> Iterator[str]:
    """The files of a home whose stack has ended that are of no known kind, or belong to nothing: a text each."""
    counted: dict[str, int] = {}
    for file in sorted(home.rglob("*")):
        if file.is_dir() and not file.is_symlink():
            continue
        name = str(file.relative_to(home))
        for what in () if OF_THE_RUN.fullmatch(name) else leaks(name, owners):
            counted[what] = counted.get(what, 0) + 1
            if counted[what] <= _SHOWN:
                yield f"the file {name} {what}"


def leaks(name: str, owners: Owners) -> Iterator[str]:
    """What is wrong with a file of this path in the home."""
    for pattern, rule in RULES:
        found = re.fullmatch(pattern, name, re.DOTALL)
        if found is not None:
            what = rule(owners, found.groups())
            if what is not None:
                yield what
            return
    yield "is of no known kind"


def leaked_temporary(folder: Path) -> Iterator[str]:
    """What the next start would not remove from the folder for temporary files of a stack that has ended."""
    remove_abandoned(folder)
    for path in sorted(folder.iterdir()):
        if path.name != OF_ONNX_RUNTIME:
            yield f"the temporary file {path.name}"


def owners(settings: Settings, versions: Collection[str], services: Collection[str]) -> Owners:
    """What the files of a stack belong to. ``services``: the names of its processes."""
    return Owners(versions, {*services, *_OTHERS}, settings.logs_kept)
