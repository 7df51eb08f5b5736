"""Labelled pictures: from a table (TSV with the columns ``path`` and ``label``) or from one folder a class.

What is wrong with one row is said of that row, with its line number, and the rest is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from vectordb.errors import Permanent

COLUMNS = ("path", "label")
T = TypeVar("T")


class BadManifest(Permanent):
    """There is nothing to evaluate, and this is why."""


@dataclass(frozen=True)
class Item:
    """A picture and what it shows. ``where`` names the place that says so: ``line 7``, ``folder cat``."""

    path: Path
    label: str
    where: str


@dataclass(frozen=True)
class Skipped:
    """Something that was not evaluated."""

    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


@dataclass(frozen=True)
class Labelled:
    """A set of labelled pictures and what was wrong with the rest of it."""

    source: Path
    items: tuple[Item, ...]
    skipped: tuple[Skipped, ...]

    @property
    def labels(self) -> list[str]:
        """Every label once, in the order of the alphabet."""
        return sorted({item.label for item in self.items})

    def spread(self, limit: int | None) -> tuple[Item, ...]:
        """See ``spread``."""
        return spread(self.items, limit)


def spread(items: Sequence[T], limit: int | None) -> tuple[T, ...]:
    """At most ``limit`` items, spread evenly: a set is often sorted by class, so its head is no sample."""
    count = len(items)
    if limit is None or limit >= count:
        return tuple(items)
    return tuple(items[at * count // limit] for at in range(limit))


def read(source: Path, root: Path | None = None) -> Labelled:
    """The pictures of a table, or of a folder with one folder a class.

    Paths in a table are relative to ``root``, the table's own folder when not given. Raises ``BadManifest`` when
    nothing at all can be used.
    """
    if not source.exists():
        raise BadManifest(f"{source} does not exist; give a table of pictures or a folder with one folder a class")
    found = list(_classes(source) if source.is_dir() else _rows(source, root or source.parent))
    items = tuple(one for one in found if isinstance(one, Item))
    skipped = tuple(one for one in found if isinstance(one, Skipped))
    if not items:
        reasons = "; ".join(map(str, skipped[:5])) or "it holds nothing but its header"
        raise BadManifest(f"nothing in {source} can be evaluated: {reasons}{_more(skipped)}")
    return Labelled(source, items, skipped)


def _rows(source: Path, root: Path) -> Iterator[Item | Skipped]:
    if not root.is_dir():
        raise BadManifest(f"the folder {root}, which the paths in {source} are relative to, does not exist")
    try:
        lines = source.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
    except OSError as exc:
        raise BadManifest(f"{source} cannot be read: {exc.strerror}") from exc
    header = lines[0].decode("utf-8", "backslashreplace").split("\t") if lines else []
    names = [name.strip().lower() for name in header]
    if not set(COLUMNS) <= set(names):
        raise BadManifest(
            f"{source}, line 1: the first line must name the columns {' and '.join(COLUMNS)}, separated by a tab;"
            f" it says {' | '.join(header)[:200]!r}"
        )
    for number, line in enumerate(lines[1:], 2):
        if line.strip():
            yield _row(line, names, root, f"line {number}")


def _row(line: bytes, names: Sequence[str], root: Path, where: str) -> Item | Skipped:
    try:
        cells = line.decode("utf-8").split("\t")
    except UnicodeDecodeError:
        return Skipped(where, "it is not UTF-8")
    if len(cells) != len(names):
        return Skipped(where, f"{len(cells)} columns where the first line names {len(names)}")
    name, label = (cells[names.index(column)].strip() for column in COLUMNS)
    if not name or not label:
        return Skipped(where, f"the {'label' if name else 'path'} is empty")
    path = root / name
    if not path.is_file():
        reason = "is not a file" if "\0" not in name and path.exists() else "there is no such file"
        return Skipped(where, f"{name}: {reason} in {root}")
    return Item(path, label, where)


def _classes(source: Path) -> Iterator[Item | Skipped]:
    inside = sorted(entry for entry in source.iterdir() if not entry.name.startswith("."))
    folders = [entry for entry in inside if entry.is_dir()]
    if not folders:
        raise BadManifest(f"{source} holds no folders; there must be one for each class, named like the class")
    for folder in folders:
        where = f"folder {folder.name}"
        label = " ".join(folder.name.replace("_", " ").split())
        files = sorted(path for path in folder.rglob("*") if path.is_file() and not _hidden(path, folder))
        if not files:
            yield Skipped(where, "it holds no images")
        elif not label:
            yield Skipped(where, "its name gives no label")
        else:
            yield from (Item(path, label, where) for path in files)
    for entry in inside:
        if not entry.is_dir():
            yield Skipped(entry.name, "it is in no class folder")


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _more(skipped: Sequence[Skipped], shown: int = 5) -> str:
    return f"; and {len(skipped) - shown} more" if len(skipped) > shown else ""
