"""Writes a backup of a home, or of the services that the settings name: the parts come together here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from vectordb.errors import WildtagError
from workers.backup.form import FORMAT, BackupError, Manifest, SavedCaptions, SavedImages, encoded
from workers.backup.key_rows import Row
from workers.backup.library_rows import caption_rows, image_rows
from workers.backup.lock import alone
from workers.backup.places import Place
from workers.backup.redis_rows import RedisRows
from workers.backup.stored_backups import Catalogue, Patience, Unfinished, new_id
from workers.backup.writing import FileWriter, Progress
from workers.embedded.backup_access import captions_of, images_of, parts_of, reached
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
    """A backup that was written, with those that were removed: unfinished ones, and old ones."""

    manifest: Manifest
    torn: Sequence[str]
    old: Sequence[str]
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
                catalogue.finish(encoded(manifest), name)
            except BaseException:
                with contextlib.suppress(WildtagError):
                    Catalogue(place).remove(name)
                raise
            old = catalogue.beyond(keep, of) if keep else ()
            for one in old:
                catalogue.remove(one)
    return Outcome(manifest, torn, old, unknown)


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
        rows = RedisRows(parts_of(w), Patience(self._progress.say), self._on)
        self._writer.write("redis", rows.rows())
        saved = tuple(self._captions()) if captions else ()
        index = self._images() if images else None
        self._writer.write("home", _home_rows(w.settings))
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
        library = self._wiring.library
        for number, manifest in enumerate(library.manifests()):
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
