"""A probe: an image that is uploaded to the bucket and traced to its record.

The steps are upload, event, dispatcher, stages and record. The checks say at which step it stopped, what to do, and
how long each event source took. The probe is always removed again.
"""

from __future__ import annotations

import contextlib
import io
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFilter

from vectordb.errors import WildtagError
from workers.diagnostics.check import Check
from workers.diagnostics.s3_delays import SourceDelays
from workers.diagnostics.s3_trail import Stack, Trail
from workers.events.sink import PROBE as NAME
from workers.lifecycle.event import ObjectEvent
from workers.stores.object_filter import ObjectFilter
from workers.stores.s3_notification import Entry
from workers.stores.store import ObjectForbidden, ObjectStore

FORMATS = {
    "image/png": ("PNG", ".png"), "image/jpeg": ("JPEG", ".jpg"), "image/webp": ("WEBP", ".webp"),
    "image/gif": ("GIF", ".gif"), "image/tiff": ("TIFF", ".tif"), "image/bmp": ("BMP", ".bmp"),
}  # fmt: skip
"""Content types of probes: Pillow's name of the format, and the usual suffix of keys."""


@dataclass(frozen=True)
class ProbeForm:
    """The key and the content type of a probe: ``prefix``, its name, ``suffix``."""

    prefix: str = ""
    suffix: str = ".png"
    content_type: str = "image/png"

    def key(self, name: str) -> str:
        """The key of a probe with this name."""
        return f"{self.prefix}{name}{self.suffix}"


def probe_forms(
    object_filter: ObjectFilter, entry: Entry, prefix: str | None, suffix: str | None
) -> Iterator[ProbeForm]:
    """The forms of a probe that pass the filters. Forms that the bucket also sends notifications for come first.

    ``entry``: an entry of the bucket's notifications. ``prefix`` and ``suffix``: the user's choice, if any.
    """
    for content_type in filter(object_filter.content, FORMATS):
        for made in _made(object_filter, entry, prefix, suffix, content_type):
            if object_filter.key(made.key(NAME)):
                yield made


def no_probe_form(object_filter: ObjectFilter, entry: Entry, prefix: str | None, suffix: str | None) -> Check:
    """A failed check that explains why no form of a probe passes the filters."""
    if not any(map(object_filter.content, FORMATS)):
        detail = f"the filters exclude all content types of probes: {', '.join(FORMATS)}"
        return Check.failed("followed", detail, "change WILDTAG_FOLLOW_TYPES or WILDTAG_IGNORE_TYPES")
    tried = dict.fromkeys(made.key(f"{NAME}…") for made in _made(object_filter, entry, prefix, suffix, "image/png"))
    return Check.failed(
        "followed",
        f"the filters exclude all keys that were tried for a probe: {', '.join(tried)}",
        "change WILDTAG_FOLLOW, WILDTAG_FOLLOW_PREFIXES, WILDTAG_FOLLOW_SUFFIXES, WILDTAG_IGNORE,"
        " WILDTAG_IGNORE_PREFIXES or WILDTAG_IGNORE_SUFFIXES,"
        " or pass the --prefix and --suffix of keys that are tagged",
    )


def _made(
    object_filter: ObjectFilter, entry: Entry, prefix: str | None, suffix: str | None, content_type: str
) -> Iterator[ProbeForm]:
    usual = FORMATS[content_type][1]
    prefixes = [entry.prefix, *object_filter.prefixes] if prefix is None else [prefix]
    suffixes = [entry.suffix or usual, usual, *object_filter.suffixes] if suffix is None else [suffix or usual]
    for one in sorted(prefixes, key=lambda this: not this.startswith(entry.prefix)):
        for other in sorted(suffixes, key=lambda this: not this.endswith(entry.suffix)):
            yield ProbeForm(one, other, content_type)


class Probe:
    """One probe in one bucket."""

    def __init__(self, store: ObjectStore, stack: Stack, delays: SourceDelays, bucket: str, form: ProbeForm) -> None:
        self._store = store
        self._stack = stack
        self._delays = delays
        self._bucket = bucket
        self._key = form.key(f"{NAME}{uuid.uuid4().hex}")
        self._content_type = form.content_type
        self._oid = f"{bucket}/{self._key}"

    def follow(self) -> Iterator[Check]:
        """A check for each step, as it is reached.

        Raises ``ObjectForbidden`` if the upload is not allowed, before the first check.
        """
        try:
            image = io.BytesIO(sample_image(FORMATS[self._content_type][0]))
            info = self._store.put(self._bucket, self._key, image, self._content_type)
        except ObjectForbidden:
            raise
        except WildtagError as exc:
            yield Check.failed("stored", str(exc), f"allow s3:PutObject on arn:aws:s3:::{self._bucket}/*")
            return
        try:
            put_at = self._delays.now()
            yield Check.passed("stored", self._key)
            yield from self._delays.conditions()
            arrived = True
            for check in Trail(self._stack, info).follow():
                arrived = check.ok is not False
                yield check
            if arrived:
                yield from self._delays.measure(self._oid, put_at)
        except WildtagError as exc:  # Redis became unavailable
            yield Check.failed(
                "followed", str(exc), "check that Redis is running and that WILDTAG_REDIS_URL is right"
            )
        finally:
            self._remove()

    def _remove(self) -> None:
        """Remove the object, and send the event of its removal in case the bucket does not."""
        with contextlib.suppress(WildtagError):
            self._store.remove(self._bucket, self._key)
            self._stack.inbox.append([ObjectEvent("removed", self._bucket, self._key, verified=True, requested=True)])


def sample_image(image_format: str = "PNG") -> bytes:
    """A small image that resembles a photograph: a ball on a lawn under the sky."""
    image = Image.linear_gradient("L").resize((160, 120))
    photo = Image.merge("RGB", (image.point(lambda v: 130 - v // 3), image.point(lambda v: 200 - v // 3), image))
    draw = ImageDraw.Draw(photo)
    draw.rectangle((0, 80, 160, 120), fill=(70, 120, 50))
    draw.ellipse((55, 45, 105, 95), fill=(200, 60, 40))
    draw.ellipse((65, 52, 80, 66), fill=(240, 150, 130))
    held = io.BytesIO()
    photo.filter(ImageFilter.GaussianBlur(1.5)).save(held, image_format)
    return held.getvalue()
