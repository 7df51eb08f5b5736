"""A probe: an image that is put into the bucket and followed to its record, so that what stops is found.

Stored, told of by an event, taken by the dispatcher, through the stages, recorded: where it stops, what to look at is
said. The probe is removed again, whatever happens.
"""

from __future__ import annotations

import contextlib
import io
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from PIL import Image, ImageDraw, ImageFilter

from vectordb.errors import WildtagError
from workers.doctor import Check
from workers.events.event import ObjectEvent
from workers.following import Following
from workers.health import Health
from workers.inbox import Inbox
from workers.record import Record
from workers.records import Pending, Records
from workers.stores.s3_notification import Entry
from workers.stores.store import ObjectInfo, ObjectStore

NAME = "wildtag-probe-"
FORMATS = {
    "image/png": ("PNG", ".png"), "image/jpeg": ("JPEG", ".jpg"), "image/webp": ("WEBP", ".webp"),
    "image/gif": ("GIF", ".gif"), "image/tiff": ("TIFF", ".tif"), "image/bmp": ("BMP", ".bmp"),
}  # fmt: skip
"""Content types in which a probe can be made: Pillow's name of the format, and the usual end of keys."""

STEP_S = 0.1
SILENT_S = 15.0  # a dispatcher says every second that it is there
T = TypeVar("T")


@dataclass(frozen=True)
class Disguise:
    """What a probe looks like: its key before and after the name, and its content type."""

    prefix: str = ""
    suffix: str = ".png"
    content_type: str = "image/png"

    def key(self, name: str) -> str:
        """The key of a probe of this name."""
        return f"{self.prefix}{name}{self.suffix}"


def disguises(following: Following, told: Entry, prefix: str | None, suffix: str | None) -> Iterator[Disguise]:
    """Those under which a probe is followed; such that the bucket also tells of come first.

    ``told``: the keys that somebody is told of. ``prefix`` and ``suffix``: a person's choice, where there is one.
    """
    for content_type in filter(following.content, FORMATS):
        for made in _made(following, told, prefix, suffix, content_type):
            if following.key(made.key(NAME)):
                yield made


def unfollowed(following: Following, told: Entry, prefix: str | None, suffix: str | None) -> Check:
    """Why there is no disguise."""
    if not any(map(following.content, FORMATS)):
        said = f"objects of the types that a probe can have are not tagged: {', '.join(FORMATS)}"
        return Check.missing("followed", said, "see WILDTAG_FOLLOW_TYPES and WILDTAG_IGNORE_TYPES")
    tried = dict.fromkeys(made.key(f"{NAME}…") for made in _made(following, told, prefix, suffix, "image/png"))
    return Check.missing(
        "followed",
        f"no key that a probe can have passes the filters of keys: {', '.join(tried)}",
        "see WILDTAG_FOLLOW_PREFIXES, WILDTAG_FOLLOW_SUFFIXES, WILDTAG_IGNORE_PREFIXES and WILDTAG_IGNORE_SUFFIXES, "
        "or give --prefix and --suffix of keys that are tagged",
    )


def _made(
    following: Following, told: Entry, prefix: str | None, suffix: str | None, content_type: str
) -> Iterator[Disguise]:
    usual = FORMATS[content_type][1]
    prefixes = [told.prefix, *following.prefixes] if prefix is None else [prefix]
    suffixes = [told.suffix or usual, usual, *following.suffixes] if suffix is None else [suffix or usual]
    for one in sorted(prefixes, key=lambda this: not this.startswith(told.prefix)):
        for other in sorted(suffixes, key=lambda this: not this.endswith(told.suffix)):
            yield Disguise(one, other, content_type)


class Probe:
    """One probe in one bucket. ``wait_s``: for the event, and again for the record."""

    def __init__(
        self, store: ObjectStore, records: Records, inbox: Inbox, health: Health, bucket: str,
        disguise: Disguise, *, wait_s: float = 30.0, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._store = store
        self._records = records
        self._inbox = inbox
        self._health = health
        self._bucket = bucket
        self._key = disguise.key(f"{NAME}{uuid.uuid4().hex}")
        self._content_type = disguise.content_type
        self._oid = f"{bucket}/{self._key}"
        self._wait_s = wait_s
        self._clock = clock

    def follow(self) -> Iterator[Check]:
        """Each step as it is reached; the last one says where it stopped, or that it did not."""
        try:
            image = io.BytesIO(picture(FORMATS[self._content_type][0]))
            info = self._store.put(self._bucket, self._key, image, self._content_type)
        except WildtagError as exc:
            yield Check.missing("stored", str(exc), f"allow s3:PutObject on arn:aws:s3:::{self._bucket}/*")
            return
        try:
            yield Check.fine("stored", self._key)
            yield from self._followed(info)
        except WildtagError as exc:  # Redis went away
            yield Check.missing("followed", str(exc), "see WILDTAG_REDIS_URL")
        finally:
            self._remove()

    def _followed(self, info: ObjectInfo) -> Iterator[Check]:
        began = self._clock()
        if not self._until(lambda: self._pending() or self._record(info)):
            yield self._no_event()
            return
        yield Check.fine("event", f"after {self._clock() - began:.1f} s")
        record = self._until(lambda: self._record(info))
        if record is None:
            yield self._stuck(self._pending())
        elif record.error:
            yield Check.missing("record", f"{record.state}: {record.error.reason}", "see the logs of the stages")
        else:
            tags = ", ".join(tag.label for tag in record.tags) or "unknown, as a made-up picture may be"
            yield Check.fine("record", f"after {self._clock() - began:.1f} s: {tags}")

    def _no_event(self) -> Check:
        waiting, silent = self._records.counts()["inbox"], self._silent("dispatcher")
        said = f"nothing took it up within {self._wait_s:g} s"
        if silent is None or silent > SILENT_S:
            what = "is not running" if silent is None else f"made no progress for {silent:.0f} s"
            return Check.missing("event", f"{said}: the dispatcher {what}", "start it: wildtag up, or its container")
        if waiting:
            return Check.missing("event", f"{said}: {waiting:,} events wait before it", "wait, or add workers")
        return Check.missing(
            "event",
            f"{said}: no event of it arrived",
            "does the bucket tell of this key (wildtag s3 setup), is what it tells running, can the server reach it "
            "(see its MINIO_NOTIFY_… variables and its log)? Until then only a sweep finds images",
        )

    def _stuck(self, pending: Pending | None) -> Check:
        if pending is None:
            return Check.missing("record", "it left the ledger without a record", "was the probe removed by others?")
        fault = f": {pending.fault}" if pending.fault else ""
        said = f"it stopped at {pending.stage}, begun {pending.attempts} times{fault}"
        silent = self._silent("embedding" if pending.stage == "queued" else pending.stage)
        beat = "never made progress" if silent is None else f"made progress {silent:.0f} s ago"
        return Check.missing("record", said, f"look at the worker of that queue, which {beat}, and at its log")

    def _silent(self, name: str) -> float | None:
        at = self._health.beats().get(name)
        return None if at is None else self._clock() - at

    def _pending(self) -> Pending | None:
        return self._records.on_its_way(self._oid)

    def _record(self, info: ObjectInfo) -> Record | None:
        (record,) = self._records.get([self._oid])
        return record if record is not None and record.etag == info.ref.etag else None

    def _until(self, look: Callable[[], T | None]) -> T | None:
        deadline = time.monotonic() + self._wait_s
        while (seen := look()) is None and time.monotonic() < deadline:
            time.sleep(STEP_S)
        return seen

    def _remove(self) -> None:
        """The object, and by an event what is known of it, in case that the bucket tells nobody of its end."""
        with contextlib.suppress(WildtagError):
            self._store.remove(self._bucket, self._key)
            self._inbox.append([ObjectEvent("removed", self._bucket, self._key, verified=True)])


def picture(image_format: str = "PNG") -> bytes:
    """A small image with the light and the soft edges of a photograph: a ball on a lawn, under a sky."""
    image = Image.linear_gradient("L").resize((160, 120))
    picture = Image.merge("RGB", (image.point(lambda v: 130 - v // 3), image.point(lambda v: 200 - v // 3), image))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 80, 160, 120), fill=(70, 120, 50))
    draw.ellipse((55, 45, 105, 95), fill=(200, 60, 40))
    draw.ellipse((65, 52, 80, 66), fill=(240, 150, 130))
    held = io.BytesIO()
    picture.filter(ImageFilter.GaussianBlur(1.5)).save(held, image_format)
    return held.getvalue()
