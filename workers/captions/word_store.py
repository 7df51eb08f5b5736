"""Vectors of words on disk: what was encoded ahead stays known when Redis is new.

A SQLite file, which several processes may read and write at once, and which a killed process leaves whole. SQLite has
no checksums of what it stores, and a damaged vector would change scores in silence. So each value has one.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from zlib import crc32

import structlog

from tasks.cache import Cache
from tasks.scoring import WORD

log = structlog.get_logger()

WAIT_S = 5.0  # for another process that writes
READ_WAIT_S = 0.05  # readers wait for no writer, but for one that makes the file or recovers it
_SUM = 4  # bytes of a checksum
AT_ONCE = 500  # keys of a query: SQLite permits 999 values at least
_MADE = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "CREATE TABLE IF NOT EXISTS checked (key TEXT PRIMARY KEY, value BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS finished (name TEXT PRIMARY KEY) WITHOUT ROWID",
)
# a replaced value keeps its number, so that the greatest number is the count
_STORE = "INSERT INTO checked VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


class WordStore:
    """A ``tasks.cache.Cache`` in a file. Thread-safe; may be inherited by a fork before its first use.

    It is a cache: if the file cannot be read, nothing is known. Writing raises ``sqlite3.Error`` and ``OSError``.
    Reading has a connection of its own, so that it waits for nobody who writes, in this process or in another one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reading = _Connection(path, READ_WAIT_S)
        self._writing = _Connection(path, WAIT_S)
        self._unreadable = False

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See ``Cache``. Reads nothing, and makes no file, where nothing was encoded ahead."""
        found: dict[str, bytes] = {}
        if not self._unreadable and (self._reading.made or self._path.is_file()):
            try:
                with self._reading as connection:
                    found = _read(connection, keys)
            except sqlite3.Error as exc:
                if getattr(exc, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                    self._unreadable = True
                    log.warning("kept words not read", file=str(self._path), reason=str(exc))
        return [found.get(key) for key in keys]

    def set_many(self, items: Mapping[str, bytes]) -> None:
        """See ``Cache``. Raises ``sqlite3.Error``, ``OSError``."""
        with self._writing as connection, connection:  # a transaction
            connection.executemany(_STORE, ((key, _sealed(key, value)) for key, value in items.items()))

    def count(self) -> int:
        """The number of words. Raises ``sqlite3.Error``."""
        with self._writing as connection:
            return int(connection.execute("SELECT coalesce(max(rowid), 0) FROM checked").fetchone()[0])

    def finish(self, name: str) -> None:
        """Remember that the words of captions are all here. Raises ``sqlite3.Error``."""
        with self._writing as connection, connection:
            connection.execute("INSERT OR REPLACE INTO finished VALUES (?)", (name,))

    def is_finished(self, name: str) -> bool:
        """Whether ``finish`` was called with this name. Raises ``sqlite3.Error``."""
        with self._writing as connection:
            found = connection.execute("SELECT 1 FROM finished WHERE name = ?", (name,))
            return found.fetchone() is not None


class _Connection:
    """A connection that is made when it is first used, for one thread at a time."""

    def __init__(self, path: Path, wait_s: float) -> None:
        self._path = path
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._open: sqlite3.Connection | None = None

    @property
    def made(self) -> bool:
        return self._open is not None

    def __enter__(self) -> sqlite3.Connection:
        self._lock.acquire()
        try:
            if self._open is None:
                self._open = self._make()
        except BaseException:
            self._lock.release()
            raise
        return self._open

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _make(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        made = sqlite3.Connection(self._path, timeout=self._wait_s, check_same_thread=False)
        try:
            for statement in _MADE:
                with closing(made.execute(statement)):
                    pass
        except BaseException:
            made.close()
            raise
        return made


def _read(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for start in range(0, len(keys), AT_ONCE):
        part = keys[start : start + AT_ONCE]
        places = ",".join("?" * len(part))
        query = f"SELECT key, value FROM checked WHERE key IN ({places})"  # noqa: S608 -- question marks only
        for key, value in connection.execute(query, part):
            if isinstance(value, bytes) and _sealed(key, value[_SUM:]) == value:
                found[key] = value[_SUM:]
    return found


def _sealed(key: str, value: bytes) -> bytes:
    """A value behind the checksum of it and its key."""
    return crc32(value, crc32(key.encode("utf-8", "surrogatepass"))).to_bytes(_SUM, "little") + value


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
