"""The interface of object stores (buckets of keys), and their errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from tasks.message_parts import ObjectRef, UserMetadata
from vectordb.errors import Permanent, Transient
from workers.settings.dependencies import STORE


@dataclass(frozen=True)
class ObjectInfo:
    """One version of an object.

    ``sequence``: orders the versions of one key, comparable with the events of the same store (32 hexadecimal
    digits). Empty if the store has no comparable value: objects seen in the bucket are verified and need none.

    ``modified``: Unix seconds, negative before 1970. ``content_type``: if the store knows one. ``changed``: when the
    object changed last, in Unix seconds, if it may still be being written; ``None`` where objects are stored whole.
    ``user_metadata``: what its owner wrote beside it; not known of listed objects.
    """

    ref: ObjectRef
    sequence: str
    modified: float | None = None
    content_type: str | None = None
    changed: float | None = field(default=None, compare=False)
    user_metadata: UserMetadata | None = field(default=None, compare=False)


class ObjectError(Permanent):
    """The object cannot be read; retrying does not help. ``code`` names the reason for machines.

    ``met``: the version that the error is about, if known.
    """

    code = "unreadable"

    def __init__(self, text: str, met: ObjectInfo | None = None) -> None:
        super().__init__(text)
        self.met = met


class ObjectGone(ObjectError):
    """The object does not exist, or no longer."""

    code = "gone"


class ObjectTooLarge(ObjectError):
    """The object has more bytes than the limit."""

    code = "too-large"


class ObjectUnwanted(ObjectError):
    """The ``wanted`` function rejected the object, which was not read."""

    code = "unwanted"

    def __init__(self, met: ObjectInfo) -> None:
        super().__init__("the object was not read: excluded by the filter", met)
        self.met: ObjectInfo = met


class ObjectForbidden(ObjectError):
    """The key or the object's permissions do not allow reading."""

    code = "forbidden"


class ObjectNameRefused(ObjectForbidden):
    """No request can name this key, or the server takes none that does."""


class StoreAway(Transient):
    """The store is unavailable."""

    service = STORE


class StoreRefuses(Transient):
    """The store refuses access: credentials, permissions on the bucket, clock, region or certificate.

    An operator can fix that, so images wait, however long it takes. ``wildtag status`` shows what waits and why.
    """

    service = STORE


class BucketMissing(Transient):
    """The configured bucket does not exist.

    This does not remove the records of its images: the bucket may be being restored, or its name be misspelt. Images
    wait as for ``StoreRefuses``.
    """

    service = STORE


Wanted = Callable[[ObjectInfo], bool]
"""Whether to read an object, decided by its metadata."""


def anything(_: ObjectInfo) -> bool:
    """Accepts every object."""
    return True


class ObjectStore(Protocol):
    """Buckets of objects.

    Raises ``ObjectError`` for errors of one object; ``StoreAway``, ``StoreRefuses`` and ``BucketMissing`` for those
    of the store.
    """

    def get(self, bucket: str, key: str, limit: int, wanted: Wanted = anything) -> tuple[bytes, ObjectInfo]:
        """The bytes and their version; never reads more than ``limit`` bytes.

        Objects that ``wanted`` rejects are not read, whatever their size: raises ``ObjectUnwanted``.
        """
        ...

    def stat(self, bucket: str, key: str) -> ObjectInfo | None:
        """The current version, ``None`` if the object does not exist."""
        ...

    def list(self, bucket: str, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        """Objects whose keys begin with ``prefix`` and come after ``after``, in byte order of the keys."""
        ...

    def put(
        self,
        bucket: str,
        key: str,
        data: BinaryIO,
        content_type: str | None = None,
        user_metadata: UserMetadata | None = None,
    ) -> ObjectInfo:
        """Store an object atomically, reading ``data`` to its end, and what its owner wrote beside it."""
        ...

    def remove(self, bucket: str, key: str) -> None:
        """Remove an object; does nothing if it does not exist."""
        ...


class ObjectTags(Protocol):
    """Stores with object tags: at most 10, keys up to 128 and values up to 256 characters of a limited set."""

    def tags(self, bucket: str, key: str) -> dict[str, str]:
        """The object's tags."""
        ...

    def set_tags(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        """Replace all tags. Raises ``ObjectError`` if the store rejects them."""
        ...


class PresignedUrls(Protocol):
    """Stores that create presigned URLs, which give time-limited access to one object without credentials."""

    def download_url(self, bucket: str, key: str, lifetime_s: int) -> str:
        """A URL to GET the object, valid for up to 7 days. Does not check that the object exists."""
        ...

    def upload_form(
        self, bucket: str, key: str, content_type: str, size: range, lifetime_s: int
    ) -> tuple[str, dict[str, str]]:
        """A URL and the fields of a form that uploads the object by POST, with the file as its last field.

        The server accepts only this content type, and bodies whose number of bytes is in ``size``.
        """
        ...


def folder_marker(key: str, size: int | None) -> bool:
    """Whether this is a folder marker and not an object. ``size``: in bytes, if known.

    A key that ends in a slash and has bytes is a normal object.
    """
    return key.endswith("/") and not size
