"""Responses of the gateway. Unknown fields of a newer gateway are ignored. See ``workers.lifecycle.record``."""

from __future__ import annotations

from datetime import datetime

import msgspec

from tasks import message_parts
from workers.lifecycle import record


class Tag(message_parts.Tag, frozen=True, forbid_unknown_fields=False):
    """A tag of a record. Unlike a tag in a message between stages it may have unknown fields."""


class Unknown(message_parts.Unknown, frozen=True, forbid_unknown_fields=False):
    """Why an image has no tags. Unlike its namesake in a message it may have unknown fields."""


class Record(record.RecordBody, frozen=True, kw_only=True):
    """The final result for one version of one object. Times have the time zone UTC.

    ``finished_at``: when it was written. ``accepted_at``, ``stages``: when the object was accepted, and when it
    entered each stage; ``None`` and empty if unknown.
    """

    space_id: str = ""
    captions_version: str = ""
    tags: tuple[Tag, ...] = ()
    unknown_because: Unknown | None = None
    finished_at: datetime | None = None
    accepted_at: datetime | None = None
    stages: dict[str, datetime] = msgspec.field(default_factory=dict)


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of an uploaded image. Times have the time zone UTC.

    ``state``: queued, a stage, or the state of a record. ``position``: number of objects ahead in the queue.
    ``stages``: when the image reached each stage. ``fault``: the temporary fault that it waits for. ``record``:
    present once the state is final. ``previous``: the last record of this version, while it is tagged again.
    ``file_name``, ``client_id``, ``metadata``: what was uploaded with it.
    """

    id: str
    bucket: str
    key: str
    etag: str = ""
    state: str
    position: int | None = None
    accepted_at: datetime | None = None
    stages: dict[str, datetime] = {}
    attempts: int = 0
    fault: str | None = None
    record: Record | None = None
    finished_at: datetime | None = None
    previous: Record | None = None
    file_name: str | None = None
    client_id: str | None = None
    metadata: dict[str, str] = {}

    @property
    def final(self) -> bool:
        """Whether the state is final."""
        return self.record is not None or self.state in record.STATES


class Found(msgspec.Struct, frozen=True):
    """An object with a tag.

    ``tag``: the tag or label of a segment that was found, as the record spells it. ``confidence``: ``None`` where the
    record has none. ``implied``: ``tag`` is not the requested one and implies it. ``segment``: it labels a segment.
    """

    score: float
    record: Record
    tag: str = ""
    confidence: float | None = None
    implied: bool = False
    segment: bool = False


class FoundPage(msgspec.Struct, frozen=True):
    """A page of objects. ``cursor``: pass it to get the next page; ``None`` on the last page."""

    objects: tuple[Found, ...]
    cursor: str | None = None


class BriefTag(msgspec.Struct, frozen=True):
    """A tag without its evidence. ``confidence``: ``None`` where the record has none."""

    label: str
    score: float = 0.0
    confidence: float | None = None


class FoundImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image, and why it was found.

    ``id``: of an upload. ``score``: of the ranking, to compare images of one search. ``similarity``: cosine to the
    text or image; ``None`` if its vector did not find it. ``tags``: its labels that match the text. ``metadata``:
    what its owner wrote that matches. ``words``: other words of the text by which it is found. ``all_tags``,
    ``all_metadata``: all that it has. ``taken_at``: RFC 3339. ``state``: of its record. ``error``: its fault.
    """

    bucket: str
    key: str
    etag: str = ""
    state: str = "done"
    error: record.Error | None = None
    id: str | None = None
    score: float = 0.0
    similarity: float | None = None
    tags: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    metadata: tuple[str, ...] = ()
    all_tags: tuple[BriefTag, ...] = ()
    all_metadata: dict[str, str] = {}
    unknown: bool = False
    taken_at: str | None = None
    finished_at: datetime | None = None
    file_name: str | None = None
    client_id: str | None = None


class FoundImages(msgspec.Struct, frozen=True):
    """A page of images. ``cursor``: pass it to get the next page; ``None`` on the last page.

    ``hint``: which tags of the filter no image has. ``incomplete``: which images could not be found, and why;
    ``None`` if all could.
    """

    images: tuple[FoundImage, ...]
    cursor: str | None = None
    hint: str | None = None
    incomplete: str | None = None


class Taught(msgspec.Struct, frozen=True):
    """An added caption. ``added``: false if it existed before."""

    id: str | int
    caption: str
    added: bool


class TaughtAll(msgspec.Struct, frozen=True):
    """The captions of one request."""

    captions: tuple[Taught, ...]


class NearImage(msgspec.Struct, frozen=True):
    """An image that looks like another one. ``similarity``: cosine of their vectors."""

    bucket: str
    key: str
    similarity: float


class TaughtObject(msgspec.Struct, frozen=True):
    """What came of teaching by example: the record as it is now, and the images that are tagged again.

    ``near``: nearest first. ``problem``: why they, or the journal, are not complete.
    """

    record: Record
    near: tuple[NearImage, ...] = ()
    problem: str | None = None


class FeedEntry(msgspec.Struct, frozen=True):
    """An event of the feed. ``id``: pass it to ``Client.feed`` to resume after this event.

    ``state``: the state of a record; ``removed`` if the object was deleted; ``gap`` if earlier events are no longer
    stored. ``file_name``, ``client_id``, ``metadata``: of an object that was deleted, if they are known.
    """

    id: str = ""
    state: str = ""
    bucket: str = ""
    key: str = ""
    record: Record | None = None
    file_name: str | None = None
    client_id: str | None = None
    metadata: dict[str, str] = {}
