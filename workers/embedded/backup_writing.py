"""Writes a backup of a home, or of the services that the settings name: the parts come together here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from vectordb.errors import WildtagError
from workers.backup.form import FORMAT, BackupError, Manifest, SavedCaptions, SavedImages
from workers.backup.key_rows import Part, Row
from workers.backup.library_rows import caption_rows, image_rows
from workers.backup.lock import alone
from workers.backup.places import Place
from workers.backup.redis_rows import RedisRows
from workers.backup.stored_backups import Catalogue, Patience, Unfinished, new_id
from workers.backup.writing import FileWriter, Progress
from workers.embedded.backup_access import captions_of, images_of, parts_of, reached
from workers.redis.connection import translated
from workers.redis.layout import VERSION, OtherLayout, refusal
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

    ``spared``: old ones that have far more records than this one.
    """

    manifest: Manifest
    torn: Sequence[str]
    old: Sequence[str]
    spared: Sequence[str]
    unknown: Sequence[str]


def backed_up(
    settings: Settings, place: Place, progress: Progress, *, keep: int | None, captions: bool, images: bool
) -> Outcome:
    """Write a backup. ``keep``: then remove older ones. Raises ``BackupError``, ``OtherLayout``, ``Transient``."""
    catalogue = Catalogue(place, Patience(progress.say))
    with reached(settings, progress, create=False) as (wiring, up):
        _require_layout(wiring)
        of = Unfinished(wiring.settings.key_prefix, wiring.settings.bucket)
        with alone(wiring.redis, wiring.keys, progress.say) as check:
            torn = catalogue.torn(of)
            for name in torn:
                catalogue.remove(name)
            name = new_id(wiring.clock())
            try:
                catalogue.begin(name, of)
                manifest, unknown = _Backup(wiring, catalogue, name, progress, check, up=up).write(
                    captions=captions, images=images
                )
                check()
                catalogue.finish(manifest)
            except BaseException:
                with contextlib.suppress(WildtagError):
                    Catalogue(place).remove(name)
                raise
            old, spared = catalogue.beyond(keep, of) if keep else ((), ())
            for one in old:
                catalogue.remove(one)
    return Outcome(manifest, torn, old, spared, unknown)


class _Backup:
    def __init__(
        self, wiring: Wiring, catalogue: Catalogue, name: str, progress: Progress, check: Callable[[], None], *,
        up: bool,
    ) -> None:  # fmt: skip
        self._wiring = wiring
        self._name = name
        self._progress = progress
        self._check = check
        self._up = up
        self._writer = FileWriter(catalogue, name)

    def write(self, *, captions: bool, images: bool) -> tuple[Manifest, list[str]]:
        w, began = self._wiring, _now()
        self._progress.step("records", w.records.count_in(w.settings.bucket))
        parts = parts_of(w)
        rows = RedisRows(parts, Patience(self._progress.say), self._on)
        data = rows.tried(lambda: _data_of(parts))
        self._writer.write("redis", rows.rows())
        saved = tuple(self._captions()) if captions else ()
        index = self._images() if images else None
        self._writer.write("home", _home_rows(w.settings))
        if _others(data, rows.tried(lambda: _data_of(parts))):
            raise BackupError(
                "Redis lost its keys, or they were migrated, or another encoder was put into use while this backup"
                " was made, so it would be of both: make it again. Earlier backups are intact"
            )
        counts = {name: rows.seen.counts.get(what, 0) for what, name in COUNTS.items()}
        manifest = Manifest(
            FORMAT, self._name, began, _now(), release(), VERSION, w.partitions.count,
            w.settings.key_prefix, w.settings.bucket, w.space.id, tuple(self._writer.files), saved, captions, index,
            counts, dict(rows.seen.left_out),
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
            count = 0

            def counted(rows: Iterator[Row]) -> Iterator[Row]:
                nonlocal count
                for row in rows:
                    count += len(row[2])
                    self._on(count)
                    yield row

            with captions_of(self._wiring, manifest, up=self._up) as index:
                self._writer.write("captions", counted(caption_rows(number, index)), f"captions-{number}")
            yield SavedCaptions(manifest.stored(), active, count)

    def _images(self) -> SavedImages | None:
        w = self._wiring
        with images_of(w, up=self._up) as index:
            if index is None:
                return SavedImages(w.space.id, w.space.dimension, 0)
            self._progress.step("index of images", index.count())
            count = 0

            def counted(rows: Iterator[Row]) -> Iterator[Row]:
                nonlocal count
                for row in rows:
                    count += len(row[1])
                    self._on(count)
                    yield row

            self._writer.write("images", counted(image_rows(index)))
            return SavedImages(w.space.id, w.space.dimension, count)


def _data_of(parts: Sequence[Part]) -> list[bytes | None]:
    """What is another value when the keys are others: their ids, the version of the layout, the encoder."""
    found: list[bytes | None] = []
    for part in parts:
        redis: Any = part.client
        k = part.keys
        with translated():
            found += redis.mget(k.data_id, k.layout_version, k.encoder)
    return found


def _others(before: Sequence[bytes | None], now: Sequence[bytes | None]) -> bool:
    """Whether the keys are others. A stack that starts meanwhile may give them an id."""
    return any(one != other for at, (one, other) in enumerate(zip(before, now, strict=True)) if at % 3 or one)


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
