"""Backup and restore of a home, or of the services that the settings name: the parts come together here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

from vectordb.errors import WildtagError
from vectordb.images import ImageIndex
from vectordb.index import CaptionIndex, IndexLocked
from vectordb.library import Manifest as CaptionManifest
from vectordb.library import safe
from workers.backup.catalogue import Catalogue, Patience, Unfinished, new_id
from workers.backup.form import (
    BASE,
    FORMAT,
    BackupError,
    DamagedBackup,
    Manifest,
    SavedCaptions,
    SavedImages,
    encoded,
    rows_of,
)
from workers.backup.key_rows import Part, Row
from workers.backup.library_rows import CaptionRows, caption_rows, image_rows, restore_captions, restore_images
from workers.backup.lock import alone
from workers.backup.places import SCHEME, BucketPlace, FolderPlace, Place, bucket_and_prefix
from workers.backup.redis_rows import RedisRows
from workers.backup.restoring import RestoredKeys, require_layout
from workers.backup.writing import FileWriter, Progress
from workers.embedded.redis_server import PrivateRedis
from workers.embedded.stack import running
from workers.redis.layout import VERSION, OtherLayout, refusal
from workers.redis.server_paths import data_folder
from workers.settings.settings import Settings
from workers.supervision.supervisor import Supervisor
from workers.wiring.captions import image_library_of
from workers.wiring.operations import migrator, remote_images
from workers.wiring.wiring import Wiring

COUNTS = {
    "records": "records", "ledger": "in_progress", "statements:OID": "statements", "api-keys": "api_keys",
    "batch:ID": "batches",
}  # fmt: skip
"""What is counted while it is read, and its name in the manifest."""
COMPARED = ("records", "in_progress", "statements", "api_keys")


@dataclass(frozen=True)
class Outcome:
    """A backup that was written, with those that were removed: unfinished ones, and old ones."""

    manifest: Manifest
    torn: Sequence[str]
    old: Sequence[str]
    unknown: Sequence[str]


@dataclass(frozen=True)
class Restored:
    """A backup that was restored. ``finished_meanwhile``: objects in progress whose record was in the backup, too.

    ``differences``: what has another number than the manifest says.
    """

    manifest: Manifest
    counts: dict[str, int]
    finished_meanwhile: int
    differences: Sequence[str]


def place_of(settings: Settings, place: str, endpoint: str | None, credentials: Path | None) -> Place:
    """A folder, or ``s3://BUCKET/PREFIX`` on the server of the settings or on another one. Raises ``BackupError``."""
    if not place.startswith(SCHEME):
        return FolderPlace(Path(place).expanduser())
    from workers.stores.s3 import S3Store  # noqa: PLC0415 -- the client is not for those who have a folder
    from workers.stores.s3_connection import S3Connection, S3Options  # noqa: PLC0415 -- as above

    bucket, prefix = bucket_and_prefix(place)
    s = settings
    url = endpoint or s.s3_endpoint
    if url is None:
        raise BackupError(
            "no S3 server is known: set WILDTAG_S3_ENDPOINT, or name it with --endpoint https://HOST:PORT"
        )
    own = credentials is not None
    options = S3Options(
        url, url, s.s3_region, access_key=None if own else s.s3_access_key,
        secret_key=None if own else s.s3_secret_key, credentials_file=credentials or s.s3_credentials_file,
        ca_file=s.s3_ca_file, iam=s.s3_iam,
    )  # fmt: skip
    return BucketPlace(S3Store(S3Connection(options), frozenset({bucket})), bucket, prefix)


def backed_up(
    settings: Settings, place: Place, progress: Progress, *, keep: int | None, captions: bool, images: bool
) -> Outcome:
    """Write a backup. ``keep``: then remove older ones. Raises ``BackupError``, ``OtherLayout``, ``Transient``."""
    catalogue = Catalogue(place, Patience(progress.say))
    with _reached(settings, progress, create=False) as (wiring, up):
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
        self._progress.step("records", w.records.counts().get("total", 0))
        rows = RedisRows(parts_of(w), Patience(self._progress.say), self._on)
        self._writer.write("redis", rows.rows())
        saved = tuple(self._captions()) if captions else ()
        index = self._images() if images else None
        self._writer.write("home", _home_rows(w.settings))
        counts = {name: rows.seen.counts.get(what, 0) for what, name in COUNTS.items()}
        manifest = Manifest(
            FORMAT, self._name, began, _now(), package_version("wildtag"), VERSION, w.partitions.count,
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

            with _captions_of(self._wiring, manifest, up=self._up) as index:
                self._writer.write("captions", counted(caption_rows(number, index)), f"captions-{number}")
            yield SavedCaptions(manifest.stored(), active, count)

    def _images(self) -> SavedImages | None:
        w = self._wiring
        with _images_of(w, up=self._up) as index:
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
    with _reached(settings, progress, create=True) as (wiring, _):
        keys = RestoredKeys(wiring.redis, wiring.keys, parts_of(wiring), wiring.clock)
        (require_stopped or _require_stopped)(wiring, progress)
        interrupted = keys.interrupted()
        resumed = interrupted is not None and interrupted[0] == manifest.id
        if not replace:
            _require_empty(keys, interrupted, manifest, wiring.settings)
        with alone(wiring.redis, wiring.keys, progress.say) as check:
            if not resumed:
                _verify(catalogue, manifest, progress)
                keys.clear(manifest.id)
            restore = _Restore(wiring, catalogue, manifest, progress, check)
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

    def redis(self, keys: RestoredKeys) -> None:
        files = self._manifest.part("redis")
        self._progress.step("records", sum(file.rows for file in files))
        layout = self._manifest.layout_version
        keys.write(self._rows, self._manifest.id, files, layout, self._on)
        keys.migrate(layout, lambda step: self._progress.step(step, 0))

    def captions(self, *, taught: bool) -> None:
        for number, saved in enumerate(self._manifest.captions):
            version = CaptionRows(saved, lambda number=number: self._part("captions", number))  # type: ignore[misc]  # its default is its value
            name = version.manifest.captions_version
            self._progress.step(f"captions {name}", saved.captions)
            restore_captions(self._wiring.library, version, self._on, taught=taught)
            if saved.active:
                self._wiring.library.use(version.manifest.space_id, name)
            with _captions_of(self._wiring, version.manifest, up=False) as index:
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
            if index.count():
                raise BackupError(
                    "there is an index of images already: with --replace it is removed, with"
                    " --without-images-index it stays"
                )
            self._progress.step("index of images", saved.images)
            restore_images(index, saved, self._part("images"), self._wiring.records, self._on)
            if (count := index.count()) != saved.images:
                self.differences.append(f"images: {count:,} are there, and the backup has {saved.images:,}")
        finally:
            index.close()

    def home(self) -> None:
        folder = self._wiring.settings.calibration_folder
        for _, name, content in self._part("home"):
            file = folder / safe(Path(name).name)
            folder.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    def _part(self, part: str, number: int | None = None) -> Iterator[Row]:
        for file in self._manifest.part(part):
            if number is None or file.name.startswith(f"{part}-{number}-"):
                yield from self._rows(file)

    def _rows(self, file: Any) -> Iterator[Row]:
        for row in rows_of(self._manifest, file, self._catalogue.content(self._manifest, file.name)):
            yield tuple(row)

    def _on(self, count: int) -> None:
        self._check()
        self._progress.done(count)


def parts_of(wiring: Wiring) -> list[Part]:
    """The places of the keys: that of the prefix, then the partitions, if there are several."""
    parts = [Part(BASE, wiring.redis, wiring.keys)]
    if wiring.partitioned:
        pairs = zip(wiring.partition_clients, wiring.partitions.all, strict=True)
        parts += [Part(number, client, keys) for number, (client, keys) in enumerate(pairs)]
    return parts


@contextmanager
def _reached(settings: Settings, progress: Progress, *, create: bool) -> Iterator[tuple[Wiring, bool]]:
    """The adapters, and whether a stack of this home is running. The Redis of a home that is down is started."""
    if "redis_url" in settings.model_fields_set:
        yield Wiring(settings), False
        return
    up = running(settings)
    if up is not None:
        if create:
            raise BackupError(f"a stack is running in {settings.home}: stop it, then restore")
        yield Wiring(up), True
        return
    if not create and not data_folder(settings.home).is_dir():
        raise BackupError(f"there is nothing to back up in {settings.home}: no stack was ever started there")
    with Supervisor(settings.home, on_event=lambda event: progress.say(str(event))) as supervisor:
        redis = PrivateRedis(settings.home)
        supervisor.start([redis.service()])
        update = {"redis_url": redis.url, "broker_url": settings.broker_url or redis.broker_url}
        yield Wiring(settings.model_copy(update=update)), False


@contextmanager
def _captions_of(wiring: Wiring, manifest: CaptionManifest, *, up: bool) -> Iterator[CaptionIndex]:
    """A version, through the worker that owns it where a stack runs."""
    space, version = manifest.space_id, manifest.captions_version
    if up and wiring.owned and space == wiring.space.id:
        index: CaptionIndex = wiring.remote_index(version)
    else:
        try:
            index = wiring.library.open(space, version)
        except IndexLocked:
            index = wiring.remote_index(version)
    try:
        yield index
    finally:
        index.close()


@contextmanager
def _images_of(wiring: Wiring, *, up: bool) -> Iterator[ImageIndex | None]:
    """The index of the current space, in the same way; ``None`` if there is none."""
    s, space = wiring.settings, wiring.space
    if up and wiring.owned:
        index: ImageIndex = remote_images(wiring)
    elif wiring.owned and not (s.images_folder / safe(space.id) / "images" / "index.json").exists():
        yield None
        return
    else:
        try:
            index = image_library_of(s).open(space.id, space.dimension)
        except IndexLocked:
            index = remote_images(wiring)
    try:
        yield index
    finally:
        index.close()


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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
