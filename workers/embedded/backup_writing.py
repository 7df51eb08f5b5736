"""Writes a backup of a home, or of the services that the settings name: the parts come together here."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec

from vectordb.errors import WildtagError
from workers.backup.form import FORMAT, BackupError, Manifest, SavedCaptions, SavedImages, SpoiltBackup
from workers.backup.key_rows import KeyRows, Row
from workers.backup.library_rows import caption_pages, captions_source, image_pages, taught_rows, unchanged_images
from workers.backup.places import Place
from workers.backup.redis_rows import RedisRows
from workers.backup.stored_backups import Catalogue, Patience, Unfinished, new_id
from workers.backup.unfinished import Journal, Note, State, continued, differ
from workers.backup.writing import FileWriter, Progress
from workers.embedded.backup_access import captions_of, images_of, parts_of, reached
from workers.redis.connection import translated
from workers.redis.layout import VERSION, OtherLayout, refusal
from workers.redis.maintenance_lock import alone
from workers.settings.release import release
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring

COUNTS = {
    "records": "records", "ledger": "in_progress", "statements:OID": "statements", "api-keys": "api_keys",
    "batch:ID": "batches",
}  # fmt: skip
"""What is counted while it is read, and its name in the manifest."""


@dataclass(frozen=True)
class Outcome:
    """A backup that was written, with those that were removed: unfinished ones, and old ones.

    ``kept``: the files that were there already, if it was continued. ``spared``: old ones that have far more records
    than this one.
    """

    manifest: Manifest
    torn: Sequence[str]
    old: Sequence[str]
    spared: Sequence[str]
    unknown: Sequence[str]
    kept: int = 0


def backed_up(
    settings: Settings, place: Place, progress: Progress, *, keep: int | None, captions: bool, images: bool,
    fresh: bool = False,
) -> Outcome:  # fmt: skip
    """Write a backup, or continue one that was interrupted unless ``fresh``. ``keep``: then remove older ones.

    What was written stays if it cannot be finished. Raises ``BackupError``, ``OtherLayout``, ``Transient``.
    """
    catalogue = Catalogue(place, Patience(progress.say))
    with reached(settings, progress, create=False) as (wiring, up):
        of = Unfinished(wiring.settings.key_prefix, wiring.settings.bucket)
        with alone(wiring.redis, wiring.keys, "backup", progress.say) as check:
            _require_layout(wiring)
            state = _state(wiring, progress)
            journal, torn = _begun(catalogue, of, state, progress, new_id(wiring.clock()), fresh=fresh)
            kept = len(journal.note.written)
            try:
                journal.begin()
                manifest, unknown = _Backup(wiring, catalogue, journal, progress, check, up=up).write(
                    captions=captions, images=images
                )
                check()
                journal.require_own()
                catalogue.finish(manifest)
            except BaseException as exc:
                _leave(place, journal, progress, check, spoilt=isinstance(exc, SpoiltBackup))
                raise
            old, spared = catalogue.beyond(keep, of) if keep else ((), ())
            for one in old:
                catalogue.remove(one)
    return Outcome(manifest, torn, old, spared, unknown, kept)


def _leave(
    place: Place, journal: Journal, progress: Progress, check: Callable[[], None], *, spoilt: bool
) -> None:  # fmt: skip
    """Say how to continue an unfinished backup; remove one of which nothing can be kept."""
    name, count = journal.backup, len(journal.note.written)
    if count and not spoilt:
        progress.say(
            f"the backup {name} is not finished, and {count} files of captions and of the index of images are kept:"
            " run the same command again to continue it, or with --fresh to remove it and begin anew"
        )
        return
    with contextlib.suppress(WildtagError):
        check()  # else it is another process's now
        Catalogue(place).remove(name)


def _begun(
    catalogue: Catalogue, of: Unfinished, state: State, progress: Progress, name: str, *, fresh: bool
) -> tuple[Journal, list[str]]:
    """The newest unfinished backup, if it can be continued, or one of this name; and the unfinished ones removed."""
    torn = catalogue.torn(of)
    note = None
    if torn and not fresh:
        progress.step("comparing what was written", 0)
        note, reason = continued(catalogue, torn[-1], of, state, progress.done)
        if note is None:
            progress.say(f"the unfinished backup {torn[-1]} is not continued, and removed: {reason}")
    run = secrets.token_hex(4)
    if note is None:
        journal = Journal(catalogue, name, Note(of.key_prefix, of.bucket, run, _now(), state))
    else:
        name = torn.pop()
        size = sum(one.file.bytes for one in note.written) / 1e6
        progress.say(
            f"continuing the backup {name}, begun {note.began}: {len(note.written)} of its files ({size:,.1f} MB) are"
            " as they were written; records and all other keys are read again"
        )
        journal = Journal(catalogue, name, msgspec.structs.replace(note, run=run), continues=True)
    for one in torn:
        catalogue.remove(one)
    return journal, torn


class _Backup:
    def __init__(
        self, wiring: Wiring, catalogue: Catalogue, journal: Journal, progress: Progress,
        check: Callable[[], None], *, up: bool,
    ) -> None:  # fmt: skip
        self._wiring = wiring
        self._journal = journal
        self._progress = progress
        self._check = check
        self._up = up
        tag = f"-{journal.note.run}" if journal.continues else ""
        self._writer = FileWriter(catalogue, journal.backup, journal, tag, check)

    def write(self, *, captions: bool, images: bool) -> tuple[Manifest, list[str]]:
        w, note, began = self._wiring, self._journal.note, _now()
        self._progress.step("records", w.records.count_in(w.settings.bucket))
        rows = RedisRows(parts_of(w), Patience(self._progress.say), self._on)
        self._writer.write("redis", rows.rows())
        saved = tuple(self._captions()) if captions else ()
        index = self._images() if images else None
        self._writer.write("home", _home_rows(w.settings))
        if differ(note.state.data, _state(w, self._progress).data):
            raise SpoiltBackup(
                "Redis lost its keys, or they were migrated, or another encoder was put into use while this backup"
                " was made, so it would be of both: make it again. Earlier backups are intact"
            )
        counts = {name: rows.seen.counts.get(what, 0) for what, name in COUNTS.items()}
        manifest = Manifest(
            FORMAT, self._journal.backup, began, _now(), release(), VERSION, w.partitions.count,
            w.settings.key_prefix, w.settings.bucket, w.space.id, tuple(self._writer.files), saved, captions, index,
            counts, dict(rows.seen.left_out), note.began if self._journal.continues else None,
        )  # fmt: skip
        return manifest, rows.seen.unknown

    def _on(self, count: int) -> None:
        self._check()
        self._progress.done(count)

    def _captions(self) -> Iterator[SavedCaptions]:
        library, change = self._wiring.library, self._wiring.encoders.change()
        # what an encoder prepares belongs to it while it does, and is not saved, as its keys are not
        prepared = change.space if change is not None and not change.had_captions else None
        saved = [manifest for manifest in library.manifests() if manifest.space_id != prepared]
        for number, manifest in enumerate(saved):
            active = library.active(manifest.space_id) == manifest.captions_version
            self._progress.step(f"captions {manifest.captions_version}", manifest.count)
            label, source = f"captions-{number}", captions_source(number, manifest)
            with captions_of(self._wiring, manifest, up=self._up) as index:
                count = self._writer.write_ranges(
                    "captions", source, self._journal.of(source), partial(caption_pages, number, index), self._on,
                    label,
                )  # fmt: skip
                taught = 0

                def counted(rows: Iterator[Row]) -> Iterator[Row]:
                    nonlocal taught
                    for row in rows:
                        taught += len(row[2])
                        self._check()
                        yield row

                self._writer.write("captions", counted(taught_rows(number, index)), f"{label}-taught")
            if count != manifest.count:
                self._progress.say(
                    f"captions {manifest.captions_version}: {count:,} imported captions are there, and"
                    f" {manifest.count:,} were recorded when they were built; those that are there are saved"
                )
                manifest = replace(manifest, count=count)  # noqa: PLW2901 -- a restore compares it with the rows
            yield SavedCaptions(manifest.stored(), active, count + taught)

    def _images(self) -> SavedImages | None:
        w = self._wiring
        with images_of(w, up=self._up) as index:
            if index is None:
                return SavedImages(w.space.id, w.space.dimension, 0)
            source, total = f"images {w.space.id}", index.count()
            self._progress.step("comparing the index of images", total)
            kept = unchanged_images(index, self._journal.of(source), self._on)
            self._progress.step("index of images", total)
            count = self._writer.write_ranges("images", source, kept, partial(image_pages, index), self._on)
            return SavedImages(w.space.id, w.space.dimension, count)


def _state(wiring: Wiring, progress: Progress) -> State:
    """What is another value when the keys are others: of each part its id, the version of the layout, the encoder."""
    parts = parts_of(wiring)

    def read() -> list[bytes | None]:
        found: list[bytes | None] = []
        for part in parts:
            redis: Any = part.client
            k = part.keys
            with translated():
                found += redis.mget(k.data_id, k.layout_version, k.encoder)
        return found

    return State(release(), wiring.space.id, tuple(KeyRows(Patience(progress.say)).tried(read)))


def _home_rows(settings: Settings) -> Iterator[Row]:
    """Files of the home that nothing makes again: the confidence models of ``wildtag calibrate``."""
    for file in sorted(settings.calibration_folder.glob("*.json")):
        yield ("file", f"calibration/{file.name}", file.read_bytes())


def _require_layout(wiring: Wiring) -> None:
    found = wiring.layout.recorded()
    if found is None and wiring.layout.empty():
        raise BackupError(f"there is nothing to back up: no keys under {wiring.settings.key_prefix!r}")
    if found != str(VERSION):
        raise OtherLayout(refusal(wiring.settings.key_prefix, found or "0"))
    wiring.layout.require_partitions()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
