"""Vectors of words on disk: what was encoded ahead stays known when Redis is new.

A SQLite file, which several processes may read and write at once, and which a killed process leaves whole.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import structlog

from tasks.cache import Cache
from tasks.scoring import WORD

log = structlog.get_logger()

WAIT_S = 5.0  # for another process that writes; who reads waits for nobody
AT_ONCE = 500  # keys of a query: SQLite permits 999 values at least
_MADE = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "CREATE TABLE IF NOT EXISTS words (key TEXT PRIMARY KEY, value BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS finished (name TEXT PRIMARY KEY) WITHOUT ROWID",
)
# a replaced value keeps its number, so that the greatest number is the count
_STORE = "INSERT INTO words VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


class WordStore:
    """A ``tasks.cache.Cache`` in a file. Thread-safe; may be inherited by a fork before its first use.

    It is a cache: if the file cannot be read, nothing is known. Writing raises ``sqlite3.Error`` and ``OSError``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._open: sqlite3.Connection | None = None
        self._unreadable = False

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See ``Cache``. Reads nothing, and makes no file, where nothing was encoded ahead."""
        found: dict[str, bytes] = {}
        with self._lock:
            if not self._unreadable and (self._open is not None or self._path.is_file()):
                try:
                    found = self._read(keys)
                except sqlite3.Error as exc:
                    self._unreadable = True
                    log.warning("kept words not read", file=str(self._path), reason=str(exc))
        return [found.get(key) for key in keys]

    def set_many(self, items: Mapping[str, bytes]) -> None:
        """See ``Cache``. Raises ``sqlite3.Error``, ``OSError``."""
        with self._lock, self._connection() as connection:  # a transaction
            connection.executemany(_STORE, items.items())

    def count(self) -> int:
        """The number of words. Raises ``sqlite3.Error``."""
        with self._lock:
            return int(self._connection().execute("SELECT coalesce(max(rowid), 0) FROM words").fetchone()[0])

    def finish(self, name: str) -> None:
        """Remember that the words of captions are all here. Raises ``sqlite3.Error``."""
        with self._lock, self._connection() as connection:
            connection.execute("INSERT OR REPLACE INTO finished VALUES (?)", (name,))

    def is_finished(self, name: str) -> bool:
        """Whether ``finish`` was called with this name. Raises ``sqlite3.Error``."""
        with self._lock:
            found = self._connection().execute("SELECT 1 FROM finished WHERE name = ?", (name,))
            return found.fetchone() is not None

    def _read(self, keys: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for start in range(0, len(keys), AT_ONCE):
            part = keys[start : start + AT_ONCE]
            places = ",".join("?" * len(part))
            query = f"SELECT key, value FROM words WHERE key IN ({places})"  # noqa: S608 -- question marks only
            found.update(self._connection().execute(query, part))
        return found

    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            made = sqlite3.Connection(self._path, timeout=WAIT_S, check_same_thread=False)
            try:
                for statement in _MADE:
                    with closing(made.execute(statement)):
                        pass
            except BaseException:
                made.close()
                raise
            self._open = made
        return self._open


class WordsFirst:
    """A ``Cache`` that looks up words in a store first, and everything else, and what it stores, in ``others``."""

    def __init__(self, store: WordStore, others: Cache | None = None) -> None:
        self._store = store
        self._others = others

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See ``Cache``."""
        words = [key for key in keys if key.startswith(WORD)]
        known = _known(words, self._store.get_many(words))
        missing = [key for key in keys if key not in known]
        if missing and self._others is not None:
            known |= _known(missing, self._others.get_many(missing))
        return [known.get(key) for key in keys]

    def set_many(self, items: Mapping[str, bytes]) -> None:
        """See ``Cache``."""
        if self._others is not None:
            self._others.set_many(items)


def _known(keys: Sequence[str], values: Sequence[bytes | None]) -> dict[str, bytes]:
    return {key: value for key, value in zip(keys, values, strict=True) if value is not None}
