"""Reads labelled images from a table (TSV with the columns ``path`` and ``label``) or from one folder per class.

A cell of the column ``label`` (or ``labels``) may hold several labels, separated by ``|``, the most specific
first. The optional column ``subject`` groups images.

Errors in a row are reported with its line number, and the other rows are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from vectordb.errors import Permanent

COLUMNS = ("path", "label")
PLURAL = "labels"  # accepted in place of ``label``
BETWEEN = "|"
T = TypeVar("T")


class BadManifest(Permanent):
    """There is nothing to evaluate; the text says why."""


@dataclass(frozen=True)
class Item:
    """An image and its label. ``where`` names the source of the label: ``line 7``, ``folder cat``.

    ``others``: further labels that a person would accept. ``subject``: the group of the image; may be empty.
    """

    path: Path
    label: str
    where: str
    others: tuple[str, ...] = ()
    subject: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, the most specific first."""
        return (self.label, *self.others)


@dataclass(frozen=True)
class Skipped:
    """An item that was not evaluated, and the reason."""

    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


@dataclass(frozen=True)
class Labelled:
    """Labelled images, and the items that were skipped."""

    source: Path
    items: tuple[Item, ...]
    skipped: tuple[Skipped, ...]

    @property
    def labels(self) -> list[str]:
        """Every label once, in alphabetical order."""
        return sorted({item.label for item in self.items})

    def spread(self, limit: int | None) -> tuple[Item, ...]:
        """See ``spread``."""
        return spread(self.items, limit)


def spread(items: Sequence[T], limit: int | None) -> tuple[T, ...]:
    """At most ``limit`` items, evenly spaced: a set is often sorted by class, so its head is not a sample."""
    count = len(items)
    if limit is None or limit >= count:
        return tuple(items)
    return tuple(items[at * count // limit] for at in range(limit))


def read(source: Path, root: Path | None = None) -> Labelled:
    """The images of a table, or of a folder with one folder per class.

    Paths in a table are relative to ``root``, by default the table's own folder. Raises ``BadManifest`` if no item is
    usable.
    """
    if not source.exists():
        raise BadManifest(f"{source} does not exist; give a table of images or a folder with one folder per class")
    found = list(_classes(source) if source.is_dir() else _rows(source, root or source.parent))
    items = tuple(one for one in found if isinstance(one, Item))
    skipped = tuple(one for one in found if isinstance(one, Skipped))
    if not items:
        reasons = "; ".join(map(str, skipped[:5])) or "it contains only its header"
        raise BadManifest(f"{source} contains nothing to evaluate: {reasons}{_more(skipped)}")
    return Labelled(source, items, skipped)


def _rows(source: Path, root: Path) -> Iterator[Item | Skipped]:
    if not root.is_dir():
        raise BadManifest(f"the folder {root}, the base of the paths in {source}, does not exist")
    try:
        lines = source.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
    except OSError as exc:
        raise BadManifest(f"{source} cannot be read: {exc.strerror}") from exc
    header = lines[0].decode("utf-8", "backslashreplace").split("\t") if lines else []
    names = [name.strip().lower() for name in header]
    names = [COLUMNS[1] if name == PLURAL and COLUMNS[1] not in names else name for name in names]
    if not set(COLUMNS) <= set(names):
        raise BadManifest(
            f"{source}, line 1: the first line must contain the columns {' and '.join(COLUMNS)}, separated"
            f" by a tab; it is {' | '.join(header)[:200]!r}"
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
        return Skipped(where, f"{len(cells)} columns, but the first line has {len(names)}")
    name, label = (cells[names.index(column)].strip() for column in COLUMNS)
    labels = [part for part in map(str.strip, label.split(BETWEEN)) if part]
    if not name or not labels:
        return Skipped(where, f"the {'label' if name else 'path'} is empty")
    subject = cells[names.index("subject")].strip() if "subject" in names else ""
    path = root / name
    if not path.is_file():
        reason = "is not a file" if "\0" not in name and path.exists() else "the file does not exist"
        return Skipped(where, f"{name}: {reason} in {root}")
    return Item(path, labels[0], where, tuple(labels[1:]), subject)


def _classes(source: Path) -> Iterator[Item | Skipped]:
    inside = sorted(entry for entry in source.iterdir() if not entry.name.startswith("."))
    folders = [entry for entry in inside if entry.is_dir()]
    if not folders:
        raise BadManifest(f"{source} contains no folders; create one for each class, with the name of the class")
    for folder in folders:
        where = f"folder {folder.name}"
        label = " ".join(folder.name.replace("_", " ").split())
        files = sorted(path for path in folder.rglob("*") if path.is_file() and not _hidden(path, folder))
        if not files:
            yield Skipped(where, "it contains no images")
        elif not label:
            yield Skipped(where, "its name is empty as a label")
        else:
            yield from (Item(path, label, where) for path in files)
    for entry in inside:
        if not entry.is_dir():
            yield Skipped(entry.name, "it is not in the folder of a class")


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _more(skipped: Sequence[Skipped], shown: int = 5) -> str:
    return f"; and {len(skipped) - shown} more" if len(skipped) > shown else ""
