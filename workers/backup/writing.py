"""Writes a backup: rows become files, and the manifest makes them a backup."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec

from workers.backup.form import ROWS_BYTES, SUFFIX, File, packed_file
from workers.backup.key_rows import Row
from workers.backup.stored_backups import Catalogue
from workers.backup.unfinished import Journal, Written, gaps

T = TypeVar("T")


@dataclass
class Progress:
    """What a command shows. ``step``: what is being done; ``done`` of ``total`` (0: unknown); ``say``: of a fault."""

    step: Callable[[str, int], None] = lambda _step, _total: None
    done: Callable[[int], None] = lambda _: None
    say: Callable[[str], None] = lambda _: None


@dataclass(frozen=True)
class Page:
    """A row with everything of a range of ids. ``last``: its last id; ``content``: see ``Written.digest``."""

    row: Row
    last: int
    items: int
    content: bytes = b""


Pages = Callable[[int, int | None], Iterable[Page]]
"""The pages with ids above the first number, up to the second one (``None``: all), in the order of ids."""


@dataclass
class FileWriter:
    """Collects rows in memory, and writes them as files of about ``ROWS_BYTES``.

    ``tag``: ends the names of its files, so that no other run writes a file of the same name. ``check``: raises if
    another process has taken over.
    """

    catalogue: Catalogue
    backup: str
    journal: Journal
    tag: str
    check: Callable[[], None]
    files: list[File] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)

    def write(
        self, part: str, rows: Iterable[Row], label: str = "", on_row: Callable[[], None] = lambda: None
    ) -> None:
        """Write all rows of a part. ``label``: the begin of the names of its files, by default the part."""

        def encoded() -> Iterator[tuple[bytes, None]]:
            for row in rows:
                yield msgspec.msgpack.encode(row), None
                on_row()

        for packed, _ in _files(encoded()):
            self.files.append(self._file(part, label or part, packed)[0])

    def write_ranges(
        self, part: str, source: str, kept: Sequence[Written], pages: Pages, on_items: Callable[[int], None],
        label: str = "",
    ) -> int:  # fmt: skip
        """Write what the kept files do not have, and note each file, so that it may be kept. Returns the items.

        ``source``: see ``Written``. ``on_items`` receives their number so far.
        """
        made = list(kept)
        items = sum(one.items for one in kept)
        for after, last in gaps(kept):

            def encoded(after: int = after, last: int | None = last) -> Iterator[tuple[bytes, Page]]:
                nonlocal items
                for page in pages(after, last):
                    yield msgspec.msgpack.encode(page.row), replace(page, row=())
                    items += page.items
                    on_items(items)

            for packed, of in _files(encoded()):
                file, stamp = self._file(part, label or part, packed)
                digest = hashlib.sha256(b"".join(page.content for page in of)).hexdigest()
                count = sum(page.items for page in of)
                made.append(Written(file, stamp, source, after, of[-1].last, count, digest))
                self.journal.add(made[-1])
                after = of[-1].last  # noqa: PLW2901 -- where the next file of this range begins
        self.files += [one.file for one in sorted(made, key=lambda one: one.after)]
        return items

    def _file(self, part: str, label: str, rows: list[bytes]) -> tuple[File, str]:
        self.check()
        number = self._numbers[label] = self._numbers.get(label, 0) + 1
        name = f"{label}-{number:05}{self.tag}{SUFFIX}"
        data = packed_file(self.backup, name, rows)
        stamp = self.catalogue.write(f"{self.backup}/{name}", data)
        return File(name, part, len(data), hashlib.sha256(data).hexdigest(), len(rows)), stamp


def _files(rows: Iterable[tuple[bytes, T]]) -> Iterator[tuple[list[bytes], list[T]]]:
    """Rows for one file after the other, with what belongs to each row."""
    waiting: list[bytes] = []
    belongs: list[T] = []
    size = 0
    for packed, one in rows:
        if waiting and size + len(packed) > ROWS_BYTES:
            yield waiting, belongs
            waiting, belongs, size = [], [], 0
        waiting.append(packed)
        belongs.append(one)
        size += len(packed)
    if waiting:
        yield waiting, belongs
