"""Creates the object store and the object filter from the settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vectordb.errors import Permanent
from workers.settings.settings import Settings
from workers.settings.variables import variable
from workers.stores.folder import FolderStore
from workers.stores.key_patterns import SIDE_FILES, KeyPatterns
from workers.stores.measured_store import measured_store
from workers.stores.object_filter import ObjectFilter
from workers.stores.store import ObjectStore

if TYPE_CHECKING:
    from workers.stores.s3 import S3Store
    from workers.stores.s3_connection import S3Options


def open_store(settings: Settings, **patience: Any) -> ObjectStore:
    """A store with its own connections. ``patience``: timeouts of ``S3Options``."""
    return folder_store(settings) if settings.s3_endpoint is None else open_s3(settings, **patience)


def folder_store(settings: Settings) -> FolderStore:
    """The bucket as a folder."""
    s = settings
    return measured_store(
        FolderStore(
            {s.bucket: s.inbox_folder}, s.output_prefix, uploads=s.upload_prefix, elsewhere=s.output_folder,
            ignored=ignored_patterns(s), links=s.follow_links,
        )
    )  # fmt: skip


def open_s3(settings: Settings, **patience: Any) -> S3Store:
    """The bucket on an S3 server. ``patience``: of ``S3Options``. Raises ``Permanent`` if no server is configured."""
    from workers.stores.s3 import S3Store  # noqa: PLC0415 -- the client is not for those who have a folder
    from workers.stores.s3_connection import S3Connection  # noqa: PLC0415 -- as above

    connection = S3Connection(s3_options(settings, **patience))
    return measured_store(S3Store(connection, frozenset({settings.bucket})))


def s3_options(settings: Settings, **patience: Any) -> S3Options:
    """The server and the credentials of the settings; as ``open_s3``."""
    from workers.stores.s3_connection import S3Options  # noqa: PLC0415 -- as above

    s = settings
    if s.s3_endpoint is None:
        raise Permanent(
            "WILDTAG_S3_ENDPOINT is not set: set it to the URL of the S3 server, such as http://minio:9000"
        )
    return S3Options(
        s.s3_endpoint, s.s3_public_endpoint or s.s3_endpoint, s.s3_region,
        access_key=s.s3_access_key, secret_key=s.s3_secret_key, credentials_file=s.s3_credentials_file,
        ca_file=s.s3_ca_file, iam=s.s3_iam, **patience,
    )  # fmt: skip


def s3_store(options: S3Options, bucket: str) -> S3Store:
    """A bucket that is not the one of the settings."""
    from workers.stores.s3 import S3Store  # noqa: PLC0415 -- as above
    from workers.stores.s3_connection import S3Connection  # noqa: PLC0415 -- as above

    return S3Store(S3Connection(options), frozenset({bucket}))


def make_s3_user(settings: Settings) -> None:
    """Create the user of the settings on a MinIO server. Raises ``Permanent`` for a key pair that is not set."""
    from minio.credentials.providers import StaticProvider  # noqa: PLC0415 -- as above
    from minio.minioadmin import MinioAdmin  # noqa: PLC0415 -- as above

    from workers.stores.s3_connection import pool  # noqa: PLC0415 -- as above
    from workers.stores.s3_user import make_user  # noqa: PLC0415 -- as above

    s = settings
    missing = [
        variable(name)
        for name in ("s3_endpoint", "s3_access_key", "s3_secret_key", "s3_admin_access_key", "s3_admin_secret_key")
        if not getattr(s, name)
    ]
    if missing:
        raise Permanent(f"not set: {', '.join(missing)}")
    parts = urlsplit(str(s.s3_endpoint))
    root = str(s.s3_admin_access_key)
    admin = MinioAdmin(
        endpoint=parts.netloc, credentials=StaticProvider(root, str(s.s3_admin_secret_key)), region=s.s3_region,
        secure=parts.scheme == "https", http_client=pool(s.s3_ca_file),
    )  # fmt: skip
    make_user(admin, s.bucket, str(s.s3_access_key), str(s.s3_secret_key), root=root)


def object_filter(settings: Settings) -> ObjectFilter:
    """The object filter."""
    s = settings
    return ObjectFilter(
        prefixes=s.follow_prefixes, suffixes=s.follow_suffixes, content_types=s.follow_types,
        ignored_prefixes=s.ignore_prefixes, ignored_suffixes=s.ignore_suffixes, ignored_types=s.ignore_types,
        output=s.output_prefix, uploads=s.upload_prefix,
        patterns=_patterns(s.follow, "follow"), ignored_patterns=ignored_patterns(s),
    )  # fmt: skip


def ignored_patterns(settings: Settings) -> KeyPatterns:
    """The list of side files, and the patterns of the settings after it."""
    return _patterns((*SIDE_FILES, *settings.ignore), "ignore")


def _patterns(patterns: Sequence[str], setting: str) -> KeyPatterns:
    try:
        return KeyPatterns(patterns)
    except ValueError as exc:
        raise Permanent(f"{variable(setting)} has a pattern that cannot be read: {exc}") from exc
