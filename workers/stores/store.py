"""Where the images are. An object store is buckets of keys; what it raises is sorted here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from tasks.messages import ObjectRef
from vectordb.errors import Permanent, Transient


class ObjectError(Permanent):
    """This object cannot be read, now or later. ``code`` names the reason for machines."""

    code = "unreadable"


class ObjectGone(ObjectError):
    """There is no such object (any more)."""

    code = "gone"


class ObjectTooLarge(ObjectError):
    """More bytes than the limit."""

    code = "too-large"


class ObjectForbidden(ObjectError):
    """The key or the object's permissions do not let wildtag read it."""

    code = "forbidden"


class StoreAway(Transient):
    """The store cannot be reached."""


@dataclass(frozen=True)
class ObjectInfo:
    """One version of an object; ``sequence`` orders its versions (32 hexadecimal digits).

    ``modified``: Unix seconds. ``content_type``: where the store knows one.
    """

    ref: ObjectRef
    sequence: str
    modified: float | None = None
    content_type: str | None = None


class ObjectStore(Protocol):
    """Buckets of objects. ``ObjectError`` for one object's faults, ``StoreAway`` for the store's."""

    def get(self, bucket: str, key: str, limit: int) -> tuple[bytes, ObjectInfo]:
        """The bytes and the version they are of; never more than ``limit`` bytes are read."""
        ...

    def stat(self, bucket: str, key: str) -> ObjectInfo | None:
        """The current version, ``None`` when there is no object."""
        ...

    def list(self, bucket: str, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        """The objects whose keys begin with ``prefix`` and come after ``after``, in the order of the keys' bytes."""
        ...

    def put(self, bucket: str, key: str, data: BinaryIO) -> ObjectInfo:
        """Store an object, whole or not at all."""
        ...

    def remove(self, bucket: str, key: str) -> None:
        """Remove an object; harmless when it is not there."""
        ...
