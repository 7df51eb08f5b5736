"""Reads the ends of log files, and what is appended to them, across rotations."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_TAIL = 1 << 20  # bytes to search for the last lines
_AT_ONCE = 1 << 16


class LogReader:
    """The lines of one log, which may be rotated, truncated, or not exist yet."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._number = 0
        self._at = 0
        self._rest = b""

    def last(self, count: int) -> list[str]:
        """The last lines. ``new`` continues behind them."""
        try:
            with self._log.open("rb") as file:
                self._number, end = os.fstat(file.fileno()).st_ino, file.seek(0, os.SEEK_END)
                file.seek(max(0, end - _TAIL))
                data = file.read(end - file.tell())
        except FileNotFoundError:
            return []
        whole, mark, self._rest = data.rpartition(b"\n")
        self._at = end
        return _text(whole)[-count:] if mark and count else []

    def new(self) -> Iterator[str]:
        """Lines that were completed since the last call; first those of the file that was rotated since."""
        try:
            found = self._log.stat()
        except FileNotFoundError:
            return
        if found.st_ino != self._number:
            before = self._log.with_name(f"{self._log.name}.1")
            if self._number and before.exists() and before.stat().st_ino == self._number:
                yield from self._read(before)
            self._number, self._at, self._rest = found.st_ino, 0, b""
        elif found.st_size < self._at:
            self._at, self._rest = 0, b""
        yield from self._read(self._log)

    def _read(self, log: Path) -> Iterator[str]:
        try:
            with log.open("rb") as file:
                file.seek(self._at)
                while data := file.read(_AT_ONCE):
                    self._at += len(data)
                    whole, mark, self._rest = (self._rest + data).rpartition(b"\n")
                    if mark:
                        yield from _text(whole)
        except FileNotFoundError:
            return


def _text(lines: bytes) -> list[str]:
    return lines.decode(errors="replace").split("\n")
