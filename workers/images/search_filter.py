"""Conditions on the images that a search finds, for the index of images and for their records."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, time

import msgspec

from tasks.labels.index_form import index_form
from vectordb.errors import Permanent
from vectordb.images import ImageFilter
from workers.lifecycle.record import Record, State
from workers.lifecycle.tag_entries import TagEntry

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"(?ai)\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?")


class BadTime(Permanent):
    """This is no date and no RFC 3339 time."""


class SearchFilter(msgspec.Struct, frozen=True):
    """Conditions that all must hold. ``tags``, ``not_tags``: index forms, see ``tasks.labels.index_form``.

    ``after``, ``before``: when the image was taken, RFC 3339 with a zone, inclusive. Times of cameras that store no
    zone count as UTC. Images without a time are left out if one of them is given. ``state``: of their records;
    tagged ones (``done``) if it is ``None``.
    """

    tags: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()
    bucket: str | None = None
    prefix: str = ""
    after: str | None = None
    before: str | None = None
    state: State | None = None

    @classmethod
    def of(
        cls,
        tags: Sequence[str] = (),
        not_tags: Sequence[str] = (),
        bucket: str | None = None,
        prefix: str = "",
        after: str | None = None,
        before: str | None = None,
        state: State | None = None,
    ) -> SearchFilter:
        """A filter from labels in any spelling, and dates or RFC 3339 times. Raises ``BadTime``."""
        return cls(
            forms(tags), forms(not_tags), bucket, prefix,
            None if after is None else moment(after).isoformat(),
            None if before is None else moment(before, last=True).isoformat(), state,
        )  # fmt: skip

    @property
    def empty(self) -> bool:
        """Whether all images fulfil it."""
        return self == EVERY_IMAGE

    @property
    def tagged(self) -> bool:
        """Whether it is about tagged images: only these have vectors, tags and words."""
        return self.state in {None, "done"}

    @property
    def dated(self) -> bool:
        """Whether it depends on when an image was taken."""
        return self.after is not None or self.before is not None

    def where(self) -> ImageFilter:
        """The filter for the index of images."""
        return ImageFilter(self.bucket, self.prefix, self.tags, self.not_tags, self.after, self.before)

    def without(self, forms: Sequence[str]) -> SearchFilter:
        """The filter, and none of these forms as a tag."""
        return msgspec.structs.replace(self, not_tags=tuple(dict.fromkeys((*self.not_tags, *forms))))

    def has_place(self, bucket: str, key: str) -> bool:
        """Whether an object of this name may fulfil it."""
        return (self.bucket is None or self.bucket == bucket) and key.startswith(self.prefix)

    def holds(self, record: Record, entries: Sequence[TagEntry]) -> bool:
        """Whether a record fulfils it. ``entries``: its tag entries."""
        found = {entry.form for entry in entries}
        labelled = found.issuperset(self.tags) and found.isdisjoint(self.not_tags)
        return labelled and self.has_place(record.bucket, record.key) and (not self.dated or self.in_time(record))

    def in_time(self, record: Record) -> bool:
        """Whether an image was taken in that time, which must be limited."""
        taken = record.media.taken_at if record.media else None
        if taken is None:
            return False
        try:
            when = moment(taken)
        except BadTime:
            return False
        begin, end = self.after and moment(self.after), self.before and moment(self.before)
        return (not begin or begin <= when) and (not end or when <= end)


EVERY_IMAGE = SearchFilter()


def forms(labels: Sequence[str]) -> tuple[str, ...]:
    """The index forms of labels, each once, in order."""
    return tuple(dict.fromkeys(sorted(map(index_form, labels))))


def moment(text: str, *, last: bool = False) -> datetime:
    """The time that a date or an RFC 3339 time stands for; UTC where it names no zone. Raises ``BadTime``.

    A date stands for its first moment, or for its ``last`` one.
    """
    try:
        if _DATE.fullmatch(text):
            return datetime.combine(datetime.fromisoformat(text), time.max if last else time.min, UTC)
        if _TIME.fullmatch(text):
            when = datetime.fromisoformat(text.upper())
            return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise BadTime(f"{text!r} is not a date or time that exists: {exc}") from exc
    raise BadTime(f"{text[:60]!r} is neither a date (2024-05-31) nor an RFC 3339 time (2024-05-31T18:00:00Z)")
