"""The event of an event source: one object was created, changed or removed. A hint; the bucket decides."""

from __future__ import annotations

from typing import Literal

import msgspec

from tasks.message_parts import Origin
from workers.stores.store import ObjectInfo


class ObjectEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """One change in a bucket. Fields that a newer release adds are ignored: events wait while releases change.

    ``sequence`` orders the writes of one key: hexadecimal, padded to 32 digits, empty if unknown. ``verified``: the
    source has checked the bucket. ``force``: tag the object even if it is already tagged. ``etag`` is empty if the
    source does not know it; the store is then asked. ``requested``: a user has asked wildtag for the removal, or has
    confirmed it. ``other_keys``: further keys that the source may mean, if its encoding is not certain; tried in
    order if the store has no object ``key``. ``origin``: the request that it is of, if it is of one.
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
    requested: bool = False
    other_keys: tuple[str, ...] = ()
    origin: Origin | None = None

    @property
    def id(self) -> str:
        """``bucket/key``."""
        return f"{self.bucket}/{self.key}"

    @classmethod
    def seen(cls, info: ObjectInfo) -> ObjectEvent:
        """Create the event of an object that was found in its bucket."""
        r = info.ref
        return cls("created", r.bucket, r.key, r.etag, r.size, r.version_id, info.sequence, verified=True)
