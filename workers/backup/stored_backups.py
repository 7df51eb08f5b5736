"""The backups of a place: which are there, which are whole, and which go."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
import structlog

from vectordb.decoders import from_json
from vectordb.errors import Transient
from workers.backup.form import (
    MANIFEST,
    UNFINISHED,
    BackupError,
    DamagedBackup,
    File,
    Manifest,
    SpoiltBackup,
    check,
    decoded,
    encoded,
)
from workers.backup.places import Place, is_draft

log = structlog.get_logger()

T = TypeVar("T")
_ID = re.compile(r"wildtag-\d{8}T\d{9}Z-[0-9a-f]{6}")
PATIENCE_S = 600.0  # for a place that is away, without any progress
PAUSE_S = 2.0


class Unfinished(msgspec.Struct, frozen=True):
    """Whose a backup that is being written is. More of it is in ``workers.backup.unfinished.Note``."""

    key_prefix: str
    bucket: str


def new_id(now: float) -> str:
    """A name for a backup that sorts by time. ``now``: Unix seconds."""
    at = datetime.fromtimestamp(now, UTC)
    return f"wildtag-{at:%Y%m%dT%H%M%S}{at.microsecond // 1000:03}Z-{secrets.token_hex(3)}"


def is_backup(name: str) -> bool:
    """Whether this is the name of a backup."""
    return _ID.fullmatch(name) is not None


class Catalogue:
    """The backups of one place. Raises ``BackupError``, ``Transient``.

    ``wait`` is called with each fault of a place that may pass, and returns to try again.
    """

    def __init__(self, place: Place, wait: Callable[[Transient], None] | None = None) -> None:
        self.place = place
        self._wait = wait

    def ids(self) -> list[str]:
        """The names of all backups, whole or not, oldest first. One that was killed before its first file is none."""
        names = self._tried(lambda: list(self.place.names()))
        found = {name.partition("/")[0] for name in names if not is_draft(name)}
        return sorted(name for name in found if _ID.fullmatch(name))

    def whole(self) -> Iterator[Manifest]:
        """The whole backups, oldest first. One with a damaged manifest is named in the log."""
        for name in self.ids():
            try:
                found = self.find(name)
            except BackupError as exc:
                log.warning("backup not read", backup=name, reason=str(exc))
                continue
            if found is not None:
                yield found

    def find(self, name: str) -> Manifest | None:
        """The manifest of a backup; ``None`` if it is not whole, or not there. Raises ``DamagedBackup``."""
        data = self.read(f"{name}/{MANIFEST}")
        if data is None:
            return None
        manifest = decoded(data, name)
        if manifest.id != name:
            raise DamagedBackup(f"the manifest of the backup {name} is that of {manifest.id}")
        return manifest

    def named(self, name: str | None) -> Manifest:
        """A backup by its name, or the newest. Raises ``BackupError`` if there is none, or it is not whole."""
        ids = self.ids()
        if name is None:
            for one in reversed(ids):
                if (found := self.find(one)) is not None:
                    return found
            rest = f"; not finished: {', '.join(ids)}" if ids else ""
            raise BackupError(f"there is no backup in {self.place.name}{rest}")
        found = self.find(name) if _ID.fullmatch(name) else None
        if found is not None:
            return found
        if name in ids:
            raise BackupError(
                f"the backup {name} in {self.place.name} was not finished, and cannot be restored; there are:"
                f" {', '.join(one.id for one in self.whole()) or 'none'}"
            )
        raise BackupError(f"there is no backup {name} in {self.place.name}")

    def content(self, manifest: Manifest, name: str) -> bytes:
        """The bytes of a file. Raises ``DamagedBackup`` if it is missing."""
        data = self.read(f"{manifest.id}/{name}")
        if data is None:
            raise DamagedBackup(f"{name} of the backup {manifest.id} is missing")
        return data

    def verify(self, manifest: Manifest, on_progress: Callable[[int], None] = lambda _: None) -> list[str]:
        """Read all files and compare their checksums; returns what is wrong. ``on_progress`` receives bytes."""
        faults, done = [], 0
        for file in manifest.files:
            try:
                check(manifest, file, self.content(manifest, file.name))
            except DamagedBackup as exc:
                faults.append(str(exc))
            done += file.bytes
            on_progress(done)
        return faults

    def write(self, name: str, data: bytes) -> str:
        """Store a file, and wait while the place is away. Returns its stamp, see ``Place.write``."""
        return self._tried(lambda: self.place.write(name, data))

    def read(self, name: str) -> bytes | None:
        """The content of a file; ``None`` if there is none."""
        return self._tried(lambda: self.place.read(name))

    def unchanged(self, name: str, file: File, stamp: str) -> bool:
        """Whether a file is there as it was written. ``stamp``: what ``write`` returned."""
        return self._tried(lambda: self.place.unchanged(name, file.bytes, file.sha256, stamp))

    def begin(self, name: str, of: Unfinished) -> None:
        """Note that a backup is being written."""
        self.write(f"{name}/{UNFINISHED}", msgspec.json.encode(of))

    def finish(self, manifest: Manifest) -> None:
        """Make a backup whole, and remove files of it that belong to no row. Raises ``SpoiltBackup``."""
        name = manifest.id
        there = set(self._tried(lambda: list(self.place.names(f"{name}/"))))
        if missing := [file.name for file in manifest.files if f"{name}/{file.name}" not in there]:
            raise SpoiltBackup(
                f"{len(missing)} files of this backup were removed while it was made, for example {missing[0]}: if"
                f" another stack saves to {self.place.name}, give each its own place"
            )
        self.remove_others(name, {UNFINISHED, *(file.name for file in manifest.files)})
        self.write(f"{name}/{MANIFEST}", encoded(manifest))
        self._tried(lambda: self.place.remove(f"{name}/{UNFINISHED}"))

    def remove(self, name: str) -> None:
        """Remove a backup: first its manifest, so that what is left in between counts as none."""
        self._tried(lambda: self.place.remove(f"{name}/{MANIFEST}"))
        self.remove_others(name, {UNFINISHED})
        self._tried(lambda: self.place.remove(f"{name}/{UNFINISHED}"))

    def remove_others(self, name: str, kept: AbstractSet[str]) -> None:
        """Remove the files of a backup but those with these names."""
        for file in self._tried(lambda: list(self.place.names(f"{name}/"))):
            if file.removeprefix(f"{name}/") not in kept:
                self._tried(lambda file=file: self.place.remove(file))  # type: ignore[misc]  # its default is its value

    def torn(self, of: Unfinished) -> list[str]:
        """Backups of this stack that were not finished, by a process that was killed."""
        found = []
        for name in self.ids():
            if self.read(f"{name}/{MANIFEST}") is not None:
                continue
            data = self.read(f"{name}/{UNFINISHED}")
            try:
                if data is not None and from_json(data, Unfinished) == of:
                    found.append(name)
            except (msgspec.DecodeError, UnicodeDecodeError):
                log.warning("unfinished backup of an unknown stack left alone", backup=name)
        return found

    def beyond(self, keep: int, of: Unfinished) -> tuple[Sequence[str], Sequence[str]]:
        """The backups of this stack that are older than the newest ``keep`` whole ones, and of them those to spare.

        Spared is what has more than twice the records of the newest: after a loss of Redis, rotation would otherwise
        remove the last backups from before it.
        """
        ours = [one for one in self.whole() if (one.key_prefix, one.bucket) == (of.key_prefix, of.bucket)]
        old = ours[:-keep]
        spared = [one.id for one in old if one.counts["records"] > 2 * ours[-1].counts["records"]]
        return [one.id for one in old if one.id not in spared], spared

    def _tried(self, call: Callable[[], T]) -> T:
        while True:
            try:
                return call()
            except Transient as exc:
                if self._wait is None:
                    raise
                self._wait(exc)


class Patience:
    """Waits after a fault that may pass, reports it, and raises it when it lasts too long."""

    def __init__(self, say: Callable[[str], None], patience_s: float = PATIENCE_S, pause_s: float = PAUSE_S) -> None:
        self._say = say
        self._patience_s = patience_s
        self._pause_s = pause_s
        self._since: float | None = None
        self._last = 0.0

    def __call__(self, exc: Transient) -> None:
        """Wait. A fault that comes long after the last one begins anew."""
        now = time.monotonic()
        if self._since is None or now - self._last > 10 * self._pause_s + 60:
            self._since = now
        if now - self._since > self._patience_s:
            raise exc
        self._say(str(exc))
        time.sleep(self._pause_s)
        self._last = time.monotonic()
