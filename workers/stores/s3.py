"""Buckets on an S3 server: MinIO, or any other that implements S3.

Only the current version of an object counts; a delete marker means that the object is gone. ``sequence`` stays empty:
S3 reports the modification time, in seconds, which cannot be compared with the sequencers of events. What this store
has seen is verified and needs no order.

Empty objects whose keys end in a slash are folder markers of some clients and are not listed as objects.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO

from minio.commonconfig import Tags
from minio.datatypes import PostPolicy
from minio.error import S3Error
from minio.helpers import check_bucket_name, check_object_name
from urllib3.exceptions import DecodeError
from urllib3.response import BaseHTTPResponse

from tasks.message_parts import ObjectRef, UserMetadata
from workers.stores.s3_connection import S3Connection
from workers.stores.s3_errors import DENIED, MISSING, RequestContext, missing_bucket, translated, unnamed
from workers.stores.s3_presence import BucketPresence
from workers.stores.store import (
    ObjectError,
    ObjectForbidden,
    ObjectGone,
    ObjectInfo,
    ObjectNameRefused,
    ObjectTooLarge,
    ObjectUnwanted,
    StoreAway,
    Wanted,
    anything,
    folder_marker,
)
from workers.stores.user_metadata import from_headers, headers_of

CHUNK = 2**18
NO_OBJECT = "a folder marker, not an object"
PART = 8 * 2**20  # bytes of an upload part, the amount held in memory; at most 10,000 parts


class S3Store:
    """Implements ``ObjectStore``, ``ObjectTags`` and ``PresignedUrls`` with one server.

    ``followed``: the buckets whose absence must not be taken for the removal of their objects (``BucketMissing``).
    """

    def __init__(self, connection: S3Connection, followed: Collection[str]) -> None:
        self.connection = connection
        self._followed = followed
        self._there = BucketPresence(self.exists)

    def get(self, bucket: str, key: str, limit: int, wanted: Wanted = anything) -> tuple[bytes, ObjectInfo]:
        """See ``ObjectStore``. Rejects objects by the response headers, before the body is read."""
        with translated(self.request_context(bucket, key)):
            response = self.connection.client.get_object(bucket, key)
            try:
                announced = _size(response.headers)
                met = _info(bucket, key, response.headers, announced)
                if announced is not None and folder_marker(key, announced):
                    raise ObjectGone(NO_OBJECT)
                if not wanted(met):
                    raise ObjectUnwanted(met)
                if announced is not None and announced > limit:
                    raise ObjectTooLarge(f"{announced:,} bytes; the limit is {limit:,}", met)
                data = _read(response, limit, met)
            except DecodeError as exc:
                raise ObjectError(f"the object cannot be decoded with its content encoding: {exc}", met) from exc
            finally:
                response.close()  # the rest of an incomplete response is not needed
        if announced is None:
            if folder_marker(key, len(data)):
                raise ObjectGone(NO_OBJECT)
            met = _info(bucket, key, response.headers, len(data))
        return data, met

    def stat(self, bucket: str, key: str) -> ObjectInfo | None:
        """See ``ObjectStore``. Raises ``ObjectForbidden`` if access is denied."""
        asked = self.request_context(bucket, key)
        with translated(asked):
            try:
                found = self.connection.client.stat_object(bucket, key)
            except S3Error as exc:
                if exc.code in MISSING:  # a response to HEAD does not say whether the object or the bucket is missing
                    if not self._there(bucket):
                        raise missing_bucket(asked) from exc
                    return None
                if unnamed(exc):
                    return self._looked(bucket, key)
                raise
        return None if folder_marker(key, found.size) else _info(bucket, key, found.metadata or {}, found.size)

    def list(self, bucket: str, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        """See ``ObjectStore``: 1,000 per request. After an error, continue after the last key."""
        with translated(self.request_context(bucket)):
            for found in self.connection.client.list_objects(
                bucket, prefix=prefix or None, recursive=True, start_after=after or None
            ):
                key = found.object_name or ""
                if not folder_marker(key, found.size):
                    ref = ObjectRef(bucket, key, found.etag or "", found.size, _version(found.version_id))
                    yield ObjectInfo(ref, "", modified=_seconds(found.last_modified))

    def put(
        self,
        bucket: str,
        key: str,
        data: BinaryIO,
        content_type: str | None = None,
        user_metadata: UserMetadata | None = None,
    ) -> ObjectInfo:
        """See ``ObjectStore``: uploaded in parts of 8 MiB, which the server joins at the end."""
        counted: Any = _Counted(data)
        with translated(self.request_context(bucket, key)):
            made = self.connection.client.put_object(
                bucket, key, counted, length=-1, part_size=PART, num_parallel_uploads=1,
                content_type=content_type or "application/octet-stream",
                metadata=None if user_metadata is None else {**headers_of(user_metadata)},
            )  # fmt: skip
        ref = ObjectRef(bucket, key, (made.etag or "").strip('"'), counted.bytes, _version(made.version_id))
        return ObjectInfo(ref, "", content_type=content_type, user_metadata=user_metadata)

    def remove(self, bucket: str, key: str) -> None:
        """See ``ObjectStore``. In a versioned bucket older versions stay, behind a delete marker."""
        with translated(self.request_context(bucket, key)):
            self.connection.client.remove_object(bucket, key)

    def tags(self, bucket: str, key: str) -> dict[str, str]:
        """See ``ObjectTags``."""
        with translated(self.request_context(bucket, key)):
            return dict(self.connection.client.get_object_tags(bucket, key) or {})

    def set_tags(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        """See ``ObjectTags``. An empty mapping removes all."""
        asked, wanted = self.request_context(bucket, key), Tags.new_object_tags()
        try:
            for name, value in tags.items():
                wanted[name] = value
        except ValueError as exc:
            raise ObjectError(f"S3 rejects these tags: {exc}") from exc
        with translated(asked):
            if wanted:
                self.connection.client.set_object_tags(bucket, key, wanted)
            else:
                self.connection.client.delete_object_tags(bucket, key)

    def download_url(self, bucket: str, key: str, lifetime_s: int) -> str:
        """See ``PresignedUrls``."""
        return self._url("GET", bucket, key, lifetime_s)

    def upload_form(
        self, bucket: str, key: str, content_type: str, size: range, lifetime_s: int
    ) -> tuple[str, dict[str, str]]:
        """See ``PresignedUrls``. The form of a POST policy: unlike a URL for PUT it limits the size."""
        policy = PostPolicy(bucket, datetime.now(UTC) + timedelta(seconds=lifetime_s))
        policy.add_equals_condition("key", key)
        policy.add_equals_condition("Content-Type", content_type)
        policy.add_content_length_range_condition(size.start, size.stop - 1)
        with translated(self.request_context(bucket, key)):
            fields = dict(self.connection.public.presigned_post_policy(policy))
        return self._bucket_url(bucket, lifetime_s), {"key": key, "Content-Type": content_type, **fields}

    def exists(self, bucket: str) -> bool:
        """Whether the bucket exists. True also without permission to access it: the next request reports that."""
        with translated(self.request_context(bucket)):
            try:
                return bool(self.connection.client.bucket_exists(bucket))
            except S3Error as exc:
                if unnamed(exc):
                    return True
                raise

    def request_context(self, bucket: str, key: str | None = None) -> RequestContext:
        """The context of a request. Raises ``ObjectNameRefused`` for keys that the client cannot send."""
        try:
            check_bucket_name(bucket)
        except ValueError as exc:
            raise ObjectForbidden(f"the name of the bucket is not valid in S3: {exc}") from exc
        try:
            if key is not None:
                check_object_name(key)
                key.encode()
        except ValueError as exc:  # includes encoding errors
            raise ObjectNameRefused(f"the key is not valid in S3: {exc}") from exc
        options = self.connection.options
        return RequestContext(
            options.endpoint, options.region, lambda: self.connection.who, bucket, key, bucket in self._followed
        )

    def _looked(self, bucket: str, key: str) -> ObjectInfo | None:
        """The result of a GET of one byte, whose error response has a reason, unlike that of HEAD."""
        try:
            response = self.connection.client.get_object(bucket, key, length=1)
        except S3Error as exc:
            if exc.code in MISSING:
                return None
            if exc.code in DENIED:
                raise ObjectForbidden(
                    f"access denied: {self.connection.who} may not look up this object ({exc.code})."
                    f" Without s3:ListBucket on arn:aws:s3:::{bucket} S3 says so of removed objects too"
                ) from exc
            raise
        response.close()
        whole = response.headers.get("content-range", "").rpartition("/")[2]
        return _info(bucket, key, response.headers, int(whole) if whole.isdigit() else None)

    def _bucket_url(self, bucket: str, lifetime_s: int) -> str:
        """The public URL of a bucket, in the style that the server wants."""
        return self._url("GET", bucket, "x", lifetime_s).partition("?")[0].removesuffix("x")

    def _url(self, method: str, bucket: str, key: str, lifetime_s: int) -> str:
        with translated(self.request_context(bucket, key)):
            return str(
                self.connection.public.get_presigned_url(method, bucket, key, expires=timedelta(seconds=lifetime_s))
            )


class _Counted(io.RawIOBase):
    """A stream that counts what is read of it."""

    def __init__(self, data: BinaryIO) -> None:
        self._data = data
        self.bytes = 0

    def read(self, size: int = -1, /) -> bytes:
        got = self._data.read(size)
        self.bytes += len(got)
        return got


def _read(response: BaseHTTPResponse, limit: int, met: ObjectInfo) -> bytes:
    """Read the body. Raises ``ObjectTooLarge`` if it exceeds the limit, whatever the headers say."""
    held = io.BytesIO()  # returns its bytes without copying them
    while chunk := response.read(min(CHUNK, limit + 1 - held.tell())):
        held.write(chunk)
        if held.tell() > limit:
            raise ObjectTooLarge(f"more than {limit:,} bytes", met)
    return held.getvalue()


def _info(bucket: str, key: str, headers: Mapping[str, str], size: int | None) -> ObjectInfo:
    etag = headers.get("etag", "").replace('"', "")
    if not etag:
        raise StoreAway(f"the response for {bucket}/{key} is not from an S3 server: it has no ETag")
    ref = ObjectRef(bucket, key, etag, size, _version(headers.get("x-amz-version-id")))
    stamp = headers.get("last-modified")
    try:
        modified = _seconds(parsedate_to_datetime(stamp)) if stamp else None
    except ValueError:
        modified = None
    return ObjectInfo(
        ref, "", modified=modified, content_type=headers.get("content-type"), user_metadata=from_headers(headers)
    )


def _size(headers: Mapping[str, str]) -> int | None:
    announced = headers.get("content-length", "")
    return int(announced) if announced.isdigit() else None


def _version(version: str | None) -> str | None:
    return None if version == "null" else version  # the only version in a bucket without versioning


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()
