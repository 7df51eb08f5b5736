"""Answers of the gateway. Fields that a newer gateway adds are ignored; see ``workers.lifecycle.record``."""

from __future__ import annotations

import msgspec

from tasks import messages
from workers.lifecycle import record


class Tag(messages.Tag, frozen=True, forbid_unknown_fields=False):
    """A tag of a record; between the stages an unknown field is an error, here it is news."""


class Record(record.Record, frozen=True, kw_only=True):
    """The final word on one version of one object."""

    tags: tuple[Tag, ...] = ()


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """Where an uploaded image is. Times are Unix seconds.

    ``state``: queued, a stage, or a record's. ``position``: how many objects are ahead of one that is queued.
    ``stages``: when it came to each. ``fault``: what it waits for to pass. ``record`` is there once it is final.
    """

    id: str
    bucket: str
    key: str
    etag: str = ""
    state: str
    position: int | None = None
    accepted_at: float | None = None
    stages: dict[str, float] = {}
    attempts: int = 0
    fault: str | None = None
    record: Record | None = None
    finished_at: float | None = None

    @property
    def final(self) -> bool:
        """Whether nothing more is to come of this version."""
        return self.record is not None or self.state in record.STATES


class Found(msgspec.Struct, frozen=True):
    """An object that carries a tag, with the tag's score."""

    score: float
    record: Record


class FoundPage(msgspec.Struct, frozen=True):
    """Some of them; ``cursor`` asks for more."""

    objects: tuple[Found, ...]
    cursor: str | None = None


class Taught(msgspec.Struct, frozen=True):
    """A caption that was taught; ``added``: it was not known before."""

    id: str | int
    caption: str
    added: bool


class TaughtAll(msgspec.Struct, frozen=True):
    """The captions of one lesson."""

    captions: tuple[Taught, ...]


class News(msgspec.Struct, frozen=True):
    """An entry of the feed; ``id`` resumes behind it.

    ``state``: a record's; ``removed``: the object is gone; ``gap``: what came before this is not remembered any more.
    """

    id: str = ""
    state: str = ""
    bucket: str = ""
    key: str = ""
    record: Record | None = None
