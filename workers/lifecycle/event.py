"""What an event source tells: one object was created (or changed) or removed. A hint; the bucket is the truth."""

from __future__ import annotations

from typing import Literal

import msgspec

from workers.stores.store import ObjectInfo


class ObjectEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One change in a bucket.

    ``sequence`` orders the writes of one key: hexadecimal, filled up to 32 digits, empty when unknown.
    ``verified``: the source has looked into the bucket itself. ``force``: tag even what is already tagged.
    ``etag`` is empty when the source does not know it; the store is asked then.
    """

    kind: Literal["created", "removed"]
    bucket: str
    key: str
    etag: str = ""
    size: int | None = None
    version_id: str | None = None
    sequence: str = ""
    verified: bool = False
    force: bool = False

    @property
    def id(self) -> str:
        """``bucket/key``."""
        return f"{self.bucket}/{self.key}"

    @classmethod
    def seen(cls, info: ObjectInfo) -> ObjectEvent:
        """The event of an object that was seen in its bucket."""
        r = info.ref
        return cls("created", r.bucket, r.key, r.etag, r.size, r.version_id, info.sequence, verified=True)
