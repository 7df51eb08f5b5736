"""Where the images are. An object store is buckets of keys; what it raises is sorted here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from tasks.messages import ObjectRef
from vectordb.errors import Permanent, Transient
from workers.settings.dependencies import STORE


@dataclass(frozen=True)
class ObjectInfo:
    """One version of an object.

    ``sequence``: orders the versions of one key, on the scale of the events of the same store (32 hexadecimal
    digits); empty where the store's answers have nothing that compares with its events. What was seen in the bucket
    counts as verified and needs none.

    ``modified``: Unix seconds. ``content_type``: where the store knows one.
    """

    ref: ObjectRef
    sequence: str
    modified: float | None = None
    content_type: str | None = None


class ObjectError(Permanent):
    """This object cannot be read, now or later. ``code`` names the reason for machines.

    ``met``: the version of which that is said, where the store got so far as to tell.
    """

    code = "unreadable"

    def __init__(self, text: str, met: ObjectInfo | None = None) -> None:
        super().__init__(text)
        self.met = met


class ObjectGone(ObjectError):
    """There is no such object (any more)."""

    code = "gone"


class ObjectTooLarge(ObjectError):
    """More bytes than the limit."""

    code = "too-large"


class ObjectUnwanted(ObjectError):
    """Whoever asked did not want what was met, and it was not read."""

    code = "unwanted"

    def __init__(self, met: ObjectInfo) -> None:
        super().__init__("not what was asked for", met)
        self.met: ObjectInfo = met


class ObjectForbidden(ObjectError):
    """The key or the object's permissions do not let wildtag read it."""

    code = "forbidden"


class StoreAway(Transient):
    """The store cannot be reached."""

    service = STORE


class StoreRefuses(Transient):
    """The store answers, but not to us: credentials, permissions on the bucket, clock, region or certificate.

    Somebody can mend that, so images wait: what waits and why is in ``wildtag status``, and ``give_up_s`` ends it.
    """

    service = STORE


class BucketMissing(Transient):
    """The bucket that is followed is not there.

    Not the end of its images, whose records would be lost over a bucket that is only being restored, or a name with
    a mistake in it. They wait as they do for ``StoreRefuses``.
    """

    service = STORE


Wanted = Callable[[ObjectInfo], bool]
"""Whether an object is to be read, by what is known of it before that."""


def anything(_: ObjectInfo) -> bool:
    """Wants every object."""
    return True


class ObjectStore(Protocol):
    """Buckets of objects. ``ObjectError`` for one object's faults; ``StoreAway``, ``StoreRefuses`` and
    ``BucketMissing`` for the store's.
    """

    def get(self, bucket: str, key: str, limit: int, wanted: Wanted = anything) -> tuple[bytes, ObjectInfo]:
        """The bytes and the version they are of; never more than ``limit`` bytes are read.

        Nothing is read of what is not ``wanted``, whatever its size: ``ObjectUnwanted``.
        """
        ...

    def stat(self, bucket: str, key: str) -> ObjectInfo | None:
        """The current version, ``None`` when there is no object."""
        ...

    def list(self, bucket: str, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        """The objects whose keys begin with ``prefix`` and come after ``after``, in the order of the keys' bytes."""
        ...

    def put(self, bucket: str, key: str, data: BinaryIO, content_type: str | None = None) -> ObjectInfo:
        """Store an object, whole or not at all, read to the end of ``data``."""
        ...

    def remove(self, bucket: str, key: str) -> None:
        """Remove an object; harmless when it is not there."""
        ...


class ObjectTags(Protocol):
    """Stores whose objects carry tags: at most 10, of 128 and 256 characters, and of few characters at that."""

    def tags(self, bucket: str, key: str) -> dict[str, str]:
        """The object's tags."""
        ...

    def set_tags(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        """Replace all of them. ``ObjectError`` where the store does not take these."""
        ...


class PresignedUrls(Protocol):
    """Stores that let others in for one object and some time, by addresses that need no credentials."""

    def download_url(self, bucket: str, key: str, lifetime_s: int) -> str:
        """An address to GET the object from, for up to 7 days. Whether there is an object is not looked at."""
        ...

    def upload_url(self, bucket: str, key: str, lifetime_s: int) -> str:
        """An address to PUT the object to."""
        ...


def folder_marker(key: str, size: int | None) -> bool:
    """Whether this is a folder that a client shows, and no object. ``size``: in bytes, where it is known.

    A key that ends in a slash and has bytes is an object like any other.
    """
    return key.endswith("/") and not size
