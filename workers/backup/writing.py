"""Writes a backup: rows become files, and the manifest makes them a backup."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from workers.backup.form import ROWS_BYTES, SUFFIX, File, packed_file
from workers.backup.key_rows import Row
from workers.backup.stored_backups import Catalogue


@dataclass
class Progress:
    """What a command shows. ``step``: what is being done; ``done`` of ``total`` (0: unknown); ``say``: of a fault."""

    step: Callable[[str, int], None] = lambda _step, _total: None
    done: Callable[[int], None] = lambda _: None
    say: Callable[[str], None] = lambda _: None


@dataclass
class FileWriter:
    """Collects rows in memory, and writes them as files of about ``ROWS_BYTES``."""

    catalogue: Catalogue
    backup: str
    files: list[File] = field(default_factory=list)

    def write(
        self, part: str, rows: Iterable[Row], label: str = "", on_row: Callable[[], None] = lambda: None
    ) -> None:
        """Write all rows of a part. ``label``: the begin of the names of its files, by default the part."""
        waiting: list[bytes] = []
        size = 0
        number = 0
        for row in rows:
            packed = msgspec.msgpack.encode(row)
            if waiting and size + len(packed) > ROWS_BYTES:
                number += 1
                self._file(part, f"{label or part}-{number:05}{SUFFIX}", waiting)
                waiting, size = [], 0
            waiting.append(packed)
            size += len(packed)
            on_row()
        if waiting:
            self._file(part, f"{label or part}-{number + 1:05}{SUFFIX}", waiting)

    def _file(self, part: str, name: str, rows: list[bytes]) -> None:
        data = packed_file(self.backup, name, rows)
        self.catalogue.write(f"{self.backup}/{name}", data)
        self.files.append(File(name, part, len(data), hashlib.sha256(data).hexdigest(), len(rows)))
