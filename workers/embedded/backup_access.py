"""What a backup and a restore work on: the place of the backups, and the services of a stack that may be down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vectordb.images import ImageIndex
from vectordb.index import CaptionIndex, IndexLocked
from vectordb.library import Manifest, safe
from workers.backup.form import BASE, BackupError
from workers.backup.key_rows import Part
from workers.backup.places import SCHEME, BucketPlace, FolderPlace, Place, bucket_and_prefix
from workers.backup.writing import Progress
from workers.embedded.redis_server import PrivateRedis
from workers.embedded.stack import running
from workers.redis.server_paths import data_folder
from workers.settings.settings import Settings
from workers.supervision.supervisor import Supervisor
from workers.wiring.captions import image_library_of
from workers.wiring.operations import remote_images
from workers.wiring.wiring import Wiring


def place_of(settings: Settings, place: str, endpoint: str | None, credentials: Path | None) -> Place:
    """A folder, or ``s3://BUCKET/PREFIX`` on the server of the settings or on another one. Raises ``BackupError``."""
    if not place.startswith(SCHEME):
        return FolderPlace(Path(place).expanduser())
    from workers.stores.s3_connection import S3Options  # noqa: PLC0415 -- the client is not for those who have a folder
    from workers.wiring.stores import s3_store  # noqa: PLC0415 -- as above

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
    return BucketPlace(s3_store(options, bucket), bucket, prefix)


def parts_of(wiring: Wiring) -> list[Part]:
    """The places of the keys: that of the prefix, then the partitions, if there are several."""
    parts = [Part(BASE, wiring.redis, wiring.keys)]
    if wiring.partitioned:
        pairs = zip(wiring.partition_clients, wiring.partitions.all, strict=True)
        parts += [Part(number, client, keys) for number, (client, keys) in enumerate(pairs)]
    return parts


@contextmanager
def reached(settings: Settings, progress: Progress, *, create: bool) -> Iterator[tuple[Wiring, bool]]:
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
def captions_of(wiring: Wiring, manifest: Manifest, *, up: bool) -> Iterator[CaptionIndex]:
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
def images_of(wiring: Wiring, *, up: bool) -> Iterator[ImageIndex | None]:
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
