"""The progress of a build on disk: which captions were added, and up to where the source was read.

One SQLite file, so memory use does not grow with the source, and a kill loses only uncommitted data.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

from vectordb.errors import Permanent
from vectordb.index import IndexFault

_FILE = "journal.sqlite"
EXAMPLES = 3  # rows that are described, of each reason to leave rows out
_OFFSET = 2**63  # SQLite's integers are signed, ids are not


class OtherSource(Permanent):
    """The interrupted build was started from another source."""


@dataclass(frozen=True)
class Progress:
    """Counts of captions.

    ``read`` from the source: the sum of ``empty``, ``duplicate``, ``count`` (added) and those of ``skipped``, which
    counts the rows that were left out, by reason. ``examples`` describes the first ones of each reason.
    """

    read: int = 0
    empty: int = 0
    duplicate: int = 0
    count: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    examples: Sequence[str] = ()

    def plus(self, read: int, empty: int, duplicate: int, skipped: Sequence[tuple[str, str]] = ()) -> Progress:
        """The progress after further captions. ``skipped``: reason and description of each row that was left out."""
        if not skipped:
            reasons, examples = self.skipped, self.examples
        else:
            counts, told = Counter(self.skipped), list(self.examples)
            for reason, description in skipped:
                if counts[reason] < EXAMPLES:
                    told.append(description)
                counts[reason] += 1
            reasons, examples = dict(counts), tuple(told)
        return replace(
            self,
            read=self.read + read,
            empty=self.empty + empty,
            duplicate=self.duplicate + duplicate,
            count=self.count + read - empty - duplicate - len(skipped),
            skipped=reasons,
            examples=examples,
        )


class Journal:
    """The journal of one build."""

    def __init__(self, database: sqlite3.Connection, progress: Progress) -> None:
        """Used by ``opened``."""
        self._database = database
        self.progress = progress

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether a journal exists in this folder."""
        return (folder / _FILE).exists()

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, source: str) -> Iterator[Self]:
        """Open or create the journal in a folder. ``source`` identifies what is read, and how.

        Raises ``OtherSource`` if the journal belongs to another source.
        """
        database = sqlite3.connect(folder / _FILE, isolation_level=None)
        try:
            # a kill of the process loses no committed data; a power failure may lose the last second, not the file
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            database.execute("CREATE TABLE IF NOT EXISTS seen (id INTEGER PRIMARY KEY) WITHOUT ROWID")
            database.execute("CREATE TABLE IF NOT EXISTS state (source TEXT NOT NULL, progress TEXT NOT NULL)")
            row = database.execute("SELECT source, progress FROM state").fetchone()
            if row is None:
                progress = Progress()
                database.execute("INSERT INTO state VALUES (?, ?)", (source, json.dumps(asdict(progress))))
            elif row[0] != source:
                raise OtherSource(
                    "an unfinished build of this version was started from other files, or they have"
                    " changed since; use --no-resume to delete it, or choose another version"
                )
            else:
                progress = Progress(**json.loads(row[1]))
            yield cls(database, progress)
        finally:
            database.close()

    def reset(self) -> None:
        """Delete all entries, because the captions were lost."""
        self._database.execute("DELETE FROM seen")
        self.commit([], Progress())

    def last(self) -> int:
        """The largest id that was added, -1 if none: where to resume a source in the order of ids."""
        (number,) = self._database.execute("SELECT MAX(id) FROM seen").fetchone()
        return -1 if number is None else int(number) + _OFFSET

    def seen(self, ids: Sequence[int]) -> set[int]:
        """The subset of these ids that were added before."""
        marks = ",".join("?" * len(ids))
        rows = self._database.execute(
            f"SELECT id FROM seen WHERE id IN ({marks})",  # noqa: S608 -- only question marks
            [number - _OFFSET for number in ids],
        )
        return {number + _OFFSET for (number,) in rows}

    def commit(self, ids: Sequence[int], progress: Progress) -> None:
        """Store the added ids and the read position atomically."""
        try:
            self._write(ids, progress)
        except sqlite3.OperationalError as exc:
            raise IndexFault(f"the journal of the build cannot be written: {exc}") from exc
        self.progress = progress

    def _write(self, ids: Sequence[int], progress: Progress) -> None:
        database = self._database
        database.execute("BEGIN")
        # in the order of the table: a random order would touch every page of a large one
        rows = ((number - _OFFSET,) for number in sorted(ids))
        database.executemany("INSERT OR IGNORE INTO seen VALUES (?)", rows)
        database.execute("UPDATE state SET progress = ?", (json.dumps(asdict(progress)),))
        database.execute("COMMIT")
