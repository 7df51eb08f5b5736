"""Restores a backup into a home, or into the services that the settings name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vectordb.images import ImageIndex
from vectordb.library import safe
from workers.backup.form import BackupError, DamagedBackup, File, Manifest, SavedImages, rows_of
from workers.backup.key_rows import Row
from workers.backup.library_rows import CaptionRows, require_captions_fit, restore_captions, restore_images
from workers.backup.places import Place
from workers.backup.restoring import RestoredKeys, require_layout
from workers.backup.stored_backups import Catalogue, Patience
from workers.backup.writing import Progress
from workers.embedded.backup_access import captions_of, parts_of, reached
from workers.redis.maintenance_lock import alone
from workers.settings import encoder_in_use
from workers.settings.settings import Settings
from workers.wiring.captions import image_library_of
from workers.wiring.operations import migrator
from workers.wiring.wiring import Wiring

COMPARED = ("records", "in_progress", "statements", "api_keys")


@dataclass(frozen=True)
class Restored:
    """A backup that was restored. ``finished_meanwhile``: objects in progress whose record was in the backup, too.

    ``differences``: what has another number than the manifest says.
    """

    manifest: Manifest
    counts: dict[str, int]
    finished_meanwhile: int
    differences: Sequence[str]


def restored(
    settings: Settings, place: Place, manifest: Manifest, progress: Progress, *, replace: bool, images: bool,
    require_stopped: Callable[[Wiring, Progress], None] | None = None,
) -> Restored:  # fmt: skip
    """Restore a backup. ``replace``: what is there is removed first. Raises ``BackupError``, ``Transient``.

    ``images``: whether the index of images is restored, if the backup has it. ``require_stopped``: raises
    ``Permanent`` while a process of wildtag is running.
    """
    catalogue = Catalogue(place, Patience(progress.say))
    _require_same(settings, manifest)
    with reached(settings, progress, create=True) as (wiring, _):
        keys = RestoredKeys(wiring.redis, wiring.keys, parts_of(wiring), wiring.clock)
        with alone(wiring.redis, wiring.keys, "restore", progress.say) as check:
            (require_stopped or _require_stopped)(wiring, progress)
            interrupted = keys.interrupted()
            resumed = interrupted is not None and interrupted[0] == manifest.id
            if not replace:
                _require_empty(keys, interrupted, manifest, wiring.settings)
            restore = _Restore(wiring, catalogue, manifest, progress, check)
            if not resumed:
                _verify(catalogue, manifest, progress)
                restore.require_room(replace=replace, images=images)  # an interrupted restore has passed it before
                keys.clear(manifest.id)
            restore.redis(keys)
            if manifest.captions_saved:
                restore.captions(taught=replace or resumed)
            if images and manifest.images is not None:
                restore.images(manifest.images, replace=replace or resumed)
            restore.home()
            finished = keys.settle()
            counts = keys.counts()
            check()
            keys.finish(manifest.partitions)
    expected = {**manifest.counts, "in_progress": manifest.counts["in_progress"] - finished}
    differences = [
        f"{name}: {counts[name]:,} are there, and the backup has {expected[name]:,}"
        for name in COMPARED
        if counts[name] != expected[name]
    ]
    return Restored(manifest, counts, finished, [*differences, *restore.differences])


class _Restore:
    def __init__(
        self, wiring: Wiring, catalogue: Catalogue, manifest: Manifest, progress: Progress, check: Callable[[], None]
    ) -> None:
        self._wiring = wiring
        self._catalogue = catalogue
        self._manifest = manifest
        self._progress = progress
        self._check = check
        self.differences: list[str] = []

    def require_room(self, *, replace: bool, images: bool) -> None:
        """Raise if captions or an index are there that would be lost, before anything is changed."""
        if self._manifest.captions_saved:
            for version in self._versions():
                require_captions_fit(self._wiring.library, version, taught=replace)
        saved, s = self._manifest.images, self._wiring.settings
        if not images or saved is None or replace:
            return
        if self._wiring.owned and not (s.images_folder / safe(saved.space_id) / "images" / "index.json").exists():
            return  # opening it would make one
        index = image_library_of(s).open(saved.space_id, saved.dimension)
        try:
            _require_no_images(index)
        finally:
            index.close()

    def redis(self, keys: RestoredKeys) -> None:
        files = self._manifest.part("redis")
        self._progress.step("records", sum(file.rows for file in files))
        layout = self._manifest.layout_version
        keys.write(self._rows, self._manifest.id, files, layout, self._on)
        keys.migrate(layout, lambda step: self._progress.step(step, 0))

    def captions(self, *, taught: bool) -> None:
        for version in self._versions():
            saved, name = version.saved, version.manifest.captions_version
            self._progress.step(f"captions {name}", saved.captions)
            restore_captions(self._wiring.library, version, self._on, taught=taught)
            if saved.active:
                self._wiring.library.use(version.manifest.space_id, name)
            with captions_of(self._wiring, version.manifest, up=False) as index:
                if (count := index.count()) != saved.captions:
                    self.differences.append(
                        f"captions {name}: {count:,} are there, and the backup has {saved.captions:,}"
                    )

    def images(self, saved: SavedImages, *, replace: bool) -> None:
        library = image_library_of(self._wiring.settings)
        if replace:
            library.drop(saved.space_id)
        index = library.open(saved.space_id, saved.dimension)
        try:
            _require_no_images(index)
            self._progress.step("index of images", saved.images)
            restore_images(index, saved, self._part("images"), self._wiring.records, self._on)
            if (count := index.count()) != saved.images:
                self.differences.append(f"images: {count:,} are there, and the backup has {saved.images:,}")
        finally:
            index.close()

    def home(self) -> None:
        home, chosen = self._wiring.settings.home, self._wiring.encoders.in_use()
        if chosen is None and self._wiring.owned:  # the backup is of before a switch
            encoder_in_use.forget(home)
        elif chosen is not None and self._wiring.owned:
            encoder_in_use.write(home, chosen.encoder, chosen.runtime, chosen.replaced)
        folder = self._wiring.settings.calibration_folder
        for _, name, content in self._part("home"):
            file = folder / safe(Path(name).name)
            folder.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    def _versions(self) -> Iterator[CaptionRows]:
        for number, saved in enumerate(self._manifest.captions):
            yield CaptionRows(saved, lambda number=number: self._part("captions", number))  # type: ignore[misc]  # its default is its value

    def _part(self, part: str, number: int | None = None) -> Iterator[Row]:
        for file in self._manifest.part(part):
            if number is None or file.name.startswith(f"{part}-{number}-"):
                yield from self._rows(file)

    def _rows(self, file: File) -> Iterator[Row]:
        for row in rows_of(self._manifest, file, self._catalogue.content(self._manifest, file.name)):
            yield tuple(row)

    def _on(self, count: int) -> None:
        self._check()
        self._progress.done(count)


def _require_no_images(index: ImageIndex) -> None:
    if index.count():
        raise BackupError(
            "there is an index of images already: with --replace it is removed, with --without-images-index it stays"
        )


def _require_same(settings: Settings, manifest: Manifest) -> None:
    require_layout(manifest.layout_version, manifest.id)
    if manifest.partitions != settings.partitions:
        raise BackupError(
            f"the backup {manifest.id} has {manifest.partitions} partitions, and WILDTAG_PARTITIONS is"
            f" {settings.partitions}: set it to {manifest.partitions}"
        )
    if manifest.bucket != settings.bucket:
        raise BackupError(
            f"the backup {manifest.id} is of the bucket {manifest.bucket!r}, and WILDTAG_BUCKET is"
            f" {settings.bucket!r}: records name their bucket, so set it to {manifest.bucket!r}"
        )


def _require_stopped(wiring: Wiring, progress: Progress) -> None:
    migrator(wiring, lambda what: progress.say(str(what))).stopped()
    if consumers := wiring.publisher.consumers():
        raise BackupError(f"workers still running: {', '.join(consumers)}; stop all processes of wildtag first")


def _require_empty(
    keys: RestoredKeys, interrupted: tuple[str, int] | None, manifest: Manifest, settings: Settings
) -> None:
    if interrupted is not None and interrupted[0] != manifest.id:
        raise BackupError(
            f"the restore of the backup {interrupted[0]} was interrupted: restore that one, or pass --replace to"
            " restore this one in its place"
        )
    if interrupted is None and (found := keys.in_use()):
        raise BackupError(
            f"there are keys of wildtag under {settings.key_prefix!r} already ({found}): restore with another"
            " WILDTAG_KEY_PREFIX or WILDTAG_HOME, or pass --replace to remove them"
        )


def _verify(catalogue: Catalogue, manifest: Manifest, progress: Progress) -> None:
    progress.step("verifying", manifest.size)
    if faults := catalogue.verify(manifest, progress.done):
        raise DamagedBackup("; ".join(faults[:5]) + ". Nothing was restored")
