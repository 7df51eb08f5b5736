"""A probe: an image that is put into the bucket and followed to its record, so that what stops is found.

Stored, told of by an event, taken by the dispatcher, through the stages, recorded: where it stops, what to look at is
said, and how long each source of events took. The probe is removed again, whatever happens.
"""

from __future__ import annotations

import contextlib
import io
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFilter

from vectordb.errors import WildtagError
from workers.diagnostics.doctor import Check
from workers.diagnostics.s3_trail import Stack, Trail
from workers.diagnostics.s3_ways import Ways
from workers.events.sink import PROBE as NAME
from workers.lifecycle.event import ObjectEvent
from workers.stores.object_filter import ObjectFilter
from workers.stores.s3_notification import Entry
from workers.stores.store import ObjectForbidden, ObjectStore

FORMATS = {
    "image/png": ("PNG", ".png"), "image/jpeg": ("JPEG", ".jpg"), "image/webp": ("WEBP", ".webp"),
    "image/gif": ("GIF", ".gif"), "image/tiff": ("TIFF", ".tif"), "image/bmp": ("BMP", ".bmp"),
}  # fmt: skip
"""Content types in which a probe can be made: Pillow's name of the format, and the usual end of keys."""


@dataclass(frozen=True)
class Disguise:
    """What a probe looks like: its key before and after the name, and its content type."""

    prefix: str = ""
    suffix: str = ".png"
    content_type: str = "image/png"

    def key(self, name: str) -> str:
        """The key of a probe of this name."""
        return f"{self.prefix}{name}{self.suffix}"


def disguises(object_filter: ObjectFilter, told: Entry, prefix: str | None, suffix: str | None) -> Iterator[Disguise]:
    """Those under which a probe is followed; such that the bucket also tells of come first.

    ``told``: the keys that somebody is told of. ``prefix`` and ``suffix``: a person's choice, where there is one.
    """
    for content_type in filter(object_filter.content, FORMATS):
        for made in _made(object_filter, told, prefix, suffix, content_type):
            if object_filter.key(made.key(NAME)):
                yield made


def unfollowed(object_filter: ObjectFilter, told: Entry, prefix: str | None, suffix: str | None) -> Check:
    """Why there is no disguise."""
    if not any(map(object_filter.content, FORMATS)):
        said = f"objects of the types that a probe can have are not tagged: {', '.join(FORMATS)}"
        return Check.missing("followed", said, "see WILDTAG_FOLLOW_TYPES and WILDTAG_IGNORE_TYPES")
    tried = dict.fromkeys(made.key(f"{NAME}…") for made in _made(object_filter, told, prefix, suffix, "image/png"))
    return Check.missing(
        "followed",
        f"no key that a probe can have passes the filters of keys: {', '.join(tried)}",
        "see WILDTAG_FOLLOW_PREFIXES, WILDTAG_FOLLOW_SUFFIXES, WILDTAG_IGNORE_PREFIXES and WILDTAG_IGNORE_SUFFIXES, "
        "or give --prefix and --suffix of keys that are tagged",
    )


def _made(
    object_filter: ObjectFilter, told: Entry, prefix: str | None, suffix: str | None, content_type: str
) -> Iterator[Disguise]:
    usual = FORMATS[content_type][1]
    prefixes = [told.prefix, *object_filter.prefixes] if prefix is None else [prefix]
    suffixes = [told.suffix or usual, usual, *object_filter.suffixes] if suffix is None else [suffix or usual]
    for one in sorted(prefixes, key=lambda this: not this.startswith(told.prefix)):
        for other in sorted(suffixes, key=lambda this: not this.endswith(told.suffix)):
            yield Disguise(one, other, content_type)


class Probe:
    """One probe in one bucket, which ``ways`` tell of."""

    def __init__(self, store: ObjectStore, stack: Stack, ways: Ways, bucket: str, disguise: Disguise) -> None:
        self._store = store
        self._stack = stack
        self._ways = ways
        self._bucket = bucket
        self._key = disguise.key(f"{NAME}{uuid.uuid4().hex}")
        self._content_type = disguise.content_type
        self._oid = f"{bucket}/{self._key}"

    def follow(self) -> Iterator[Check]:
        """Each step as it is reached; the last one says where it stopped, or that it did not.

        Raises ``ObjectForbidden`` where no object may be put there, before anything is yielded.
        """
        try:
            image = io.BytesIO(picture(FORMATS[self._content_type][0]))
            info = self._store.put(self._bucket, self._key, image, self._content_type)
        except ObjectForbidden:
            raise
        except WildtagError as exc:
            yield Check.missing("stored", str(exc), f"allow s3:PutObject on arn:aws:s3:::{self._bucket}/*")
            return
        try:
            put_at = self._ways.now()
            yield Check.fine("stored", self._key)
            yield from self._ways.conditions()
            arrived = True
            for check in Trail(self._stack, info).follow():
                arrived = check.ok is not False
                yield check
            if arrived:
                yield from self._ways.delays(self._oid, put_at)
        except WildtagError as exc:  # Redis went away
            yield Check.missing("followed", str(exc), "see WILDTAG_REDIS_URL")
        finally:
            self._remove()

    def _remove(self) -> None:
        """The object, and by an event what is known of it, in case that the bucket tells nobody of its end."""
        with contextlib.suppress(WildtagError):
            self._store.remove(self._bucket, self._key)
            self._stack.inbox.append([ObjectEvent("removed", self._bucket, self._key, verified=True)])


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
