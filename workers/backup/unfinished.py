"""What a backup that is being written notes of itself, so that the next run continues it after a kill.

The note is ``unfinished.json`` beside the files. It lists those files that may be kept: pages of caption databases
and of the index of images. Each has the identity of what it was copied from, its range of ids, and its checksum.
Rows of Redis are of one time and not listed: they are read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from vectordb.decoders import from_json
from workers.backup.form import UNFINISHED, BackupError, File
from workers.backup.stored_backups import Catalogue, Unfinished


class Written(msgspec.Struct, frozen=True):
    """A file that may be kept. It has everything of ``source`` with ids above ``after``, up to ``last``.

    ``stamp``: what the place knows the stored content by, see ``Place.write``. ``items``: captions or images.
    ``digest``: of what can change in ``source`` without another identity; empty where nothing can.
    """

    file: File
    stamp: str
    source: str
    after: int
    last: int
    items: int
    digest: str = ""


class State(msgspec.Struct, frozen=True):
    """What must be unchanged for a backup to be continued. ``data``: of each part its id, layout and encoder."""

    release: str
    space_id: str
    data: tuple[bytes | None, ...]


class Note(msgspec.Struct, frozen=True):
    """The content of ``unfinished.json``. ``run``: the process that writes; ``began``: the first one, ISO 8601."""

    key_prefix: str
    bucket: str
    run: str
    began: str
    state: State
    written: tuple[Written, ...] = ()


class Journal:
    """Notes each file that was written. ``continues``: another run. Raises ``BackupError``, ``Transient``."""

    def __init__(self, catalogue: Catalogue, backup: str, note: Note, *, continues: bool = False) -> None:
        self.backup = backup
        self.continues = continues
        self.note = note
        self._catalogue = catalogue

    def begin(self) -> None:
        """Note that this process writes the backup."""
        self._store(self.note)

    def add(self, written: Written) -> None:
        """Note a file that was stored."""
        self._store(msgspec.structs.replace(self.note, written=(*self.note.written, written)))

    def of(self, source: str) -> list[Written]:
        """The files of this identity, in the order of ids, none of which overlap."""
        found: list[Written] = []
        for one in sorted(self.note.written, key=lambda one: one.after):
            if one.source == source and (not found or one.after >= found[-1].last):
                found.append(one)
        return found

    def require_own(self) -> None:
        """Raise ``BackupError`` if another process goes on with this backup, as after a suspension of this one."""
        found = note_of(self._catalogue, self.backup)
        if found is not None and found.run != self.note.run:
            raise BackupError(f"another process goes on with the backup {self.backup}: this one was suspended")

    def _store(self, note: Note) -> None:
        self._catalogue.write(f"{self.backup}/{UNFINISHED}", msgspec.json.encode(note))
        self.note = note


def note_of(catalogue: Catalogue, backup: str) -> Note | None:
    """The note of an unfinished backup; ``None`` if there is none that this version can read."""
    data = catalogue.read(f"{backup}/{UNFINISHED}")
    try:
        return None if data is None else from_json(data, Note)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def obstacle(note: Note, now: State) -> str | None:
    """Why a backup cannot be continued, in words; ``None`` if it can."""
    if note.state.release != now.release:
        return f"wildtag {note.state.release} began it, and this is {now.release}"
    if note.state.space_id != now.space_id:
        return "another encoder is in use"
    if differ(note.state.data, now.data):
        return "Redis lost its keys since, or they were migrated, or another encoder was put into use"
    return None


def differ(before: Sequence[bytes | None], now: Sequence[bytes | None]) -> bool:
    """Whether the keys are others. A stack that starts meanwhile may give them an id."""
    if len(before) != len(now):
        return True
    return any(one != other for at, (one, other) in enumerate(zip(before, now, strict=True)) if at % 3 or one)


def continued(
    catalogue: Catalogue, name: str, of: Unfinished, state: State, on_bytes: Callable[[int], None]
) -> tuple[Note | None, str]:
    """The note of a backup that can be continued, with those files whose content is unchanged; or why it cannot.

    Removes all its other files. ``on_bytes``: receives the bytes that were compared.
    """
    note = note_of(catalogue, name)
    if note is None:
        return None, "another version of wildtag began it"
    if any((one.key_prefix, one.bucket) == (of.key_prefix, of.bucket) for one in catalogue.whole() if one.id > name):
        return None, "there is a newer backup"
    if (reason := obstacle(note, state)) is not None:
        return None, reason
    kept, done = [], 0
    for one in note.written:
        if catalogue.unchanged(f"{name}/{one.file.name}", one.file, one.stamp):
            kept.append(one)
        done += one.file.bytes
        on_bytes(done)
    catalogue.remove_others(name, {UNFINISHED, *(one.file.name for one in kept)})
    return msgspec.structs.replace(note, state=state, written=tuple(kept)), ""


def gaps(kept: Sequence[Written]) -> Iterator[tuple[int, int | None]]:
    """The ranges of ids that no file covers: those above the first number, up to the second one (``None``: all)."""
    after = -1
    for one in kept:
        if one.after > after:
            yield after, one.after
        after = one.last
    yield after, None
