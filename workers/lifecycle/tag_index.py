"""Looks records up by their labels, in any spelling. Only the ledger writes this index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tasks.labels.index_form import folded, index_form
from workers.lifecycle.damaged_records import DamagedRecords
from workers.lifecycle.object_numbers import ObjectNumbers, member_of
from workers.lifecycle.record import Record
from workers.lifecycle.stored_record import readable
from workers.lifecycle.tag_entries import forms, segments
from workers.lifecycle.tag_ranks import TagRanks, bounds_of, in_order, split
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys

PAGE = 500


@dataclass(frozen=True)
class TagHit:
    """A record that was found by a label.

    ``label``: the tag or the label of a segment that was found, or that implies what was looked
    up, as the record spells it. ``confidence``: ``None`` for a tag without one, and for the label of a segment.
    """

    record: Record
    label: str
    score: float
    confidence: float | None
    implied: bool
    segment: bool


@dataclass(frozen=True)
class TagCount:
    """A tag in its most common spelling.

    ``objects``: the number of records with it as a tag or the label of a segment. ``implied``: how many more are
    found by it.
    """

    label: str
    objects: int
    implied: int


class TagIndex:
    """The index. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, damaged: DamagedRecords, numbers: ObjectNumbers) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._damaged = damaged
        self._numbers = numbers
        self._ranks = TagRanks(client, keys)

    def tagged(self, label: str) -> Iterator[str]:
        """Yield the ids of the records that are found by a label, unordered."""
        with translated():
            found = self._redis.zscan_iter(self._keys.tag(index_form(label)), count=PAGE)
            while page := list(islice(found, PAGE)):
                yield from self._numbers.known([member for member, _ in page])

    def best(self, label: str, min_score: float, limit: int) -> list[bytes]:
        """The places of ``limit`` records that are found by a label, best first: tags, segments, then implied.

        ``min_score``: the least confidence, or score of what has none. See ``read``.
        """
        return in_order([self._ranks.page(index_form(label), bounds_of(min_score), limit)])

    def ranked(self, label: str, min_score: float) -> list[bytes]:
        """The places of all of them, best first as they are now."""
        return in_order([self._ranks.all(index_form(label), bounds_of(min_score))])

    def read(self, label: str, places: Sequence[bytes]) -> list[TagHit | None]:
        """The hits at these places. ``None`` for a record that is damaged, removed or without the label by now."""
        form = index_form(label)
        members = [split(place)[1] for place in places]
        with translated():
            oids = self._numbers.oids(members)
            known = [oid for oid in oids if oid is not None]
            stored = iter(self._redis.mget([self._keys.record(oid) for oid in known]) if known else [])
        return [
            None if oid is None or (body := next(stored)) is None else self._hit(form, member, oid, body)
            for member, oid in zip(members, oids, strict=True)
        ]

    def spelling(self, label: str) -> str:
        """The most common spelling of a tag; the label itself if there is no such tag."""
        form = index_form(label)
        known = self.numbers([form])[0]
        return label if known is None else self._counts([(form, known)])[0].label

    def numbers(self, forms: Sequence[str]) -> list[int | None]:
        """The number of records with each form as a tag or the label of a segment; ``None`` for an unknown form."""
        if not forms:
            return []
        with translated():
            scores = self._redis.zmscore(self._keys.tags, list(forms))
        return [None if score is None else int(score) for score in scores]

    def found_by(self, form: str) -> int:
        """The number of records that are found by a form."""
        with translated():
            return int(self._redis.zcard(self._keys.tag(form)))

    def having(self, form: str, objects: Sequence[tuple[str, int]]) -> list[bool]:
        """Whether each record is found by a form. ``objects``: their ids and numbers."""
        with translated():
            ranks = self._redis.zmscore(self._keys.tag(form), [member_of(number) for _, number in objects])
        return [rank is not None for rank in ranks]

    def listed(self, prefix: str, limit: int) -> list[str]:
        """The forms of ``limit`` tags with this prefix, most frequent first, those last that are only implied."""
        begins = _beginning(prefix)
        found: dict[str, None] = {}
        for form, _ in self._ordered(0):
            if begins(form):
                found[form] = None
                if len(found) == limit:
                    break
        return list(found)

    def all_listed(self, prefix: str) -> list[str]:
        """All of them, as they are now."""
        begins = _beginning(prefix)
        found = [(count, raw(form), form) for form, count in self.all_rows().items() if begins(form)]
        return [form for _, _, form in sorted(found, reverse=True)]

    def counted(self, forms: Sequence[str]) -> list[TagCount]:
        """The tags of these forms, without those that no record has any more."""
        known = zip(forms, self.numbers(forms), strict=True)
        return self._counts([(form, number) for form, number in known if number is not None])

    def common(self, limit: int = 20) -> list[tuple[str, int]]:
        """The most frequent tags with their number of objects, without those that are only implied."""
        return [(one.label, one.objects) for one in self._counts(self._most(limit))]

    def rows(self, start: int, limit: int) -> list[tuple[str, int]]:
        """Forms with their number of records, from a position on, most frequent first."""
        with translated():
            rows = self._redis.zrevrange(self._keys.tags, start, start + limit - 1, withscores=True)
        return [(text(form), int(count)) for form, count in rows]

    def all_rows(self) -> dict[str, int]:
        """All forms with their number of records. Each that is there all the time is there."""
        with translated():
            return {text(form): int(n) for form, n in self._redis.zscan_iter(self._keys.tags, count=PAGE)}

    def spellings(self, forms: Sequence[str]) -> list[tuple[int, dict[str, int]]]:
        """By each form: how many records are found, and the number of those with another spelling, by spelling."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for form in forms:
                pipe.zcard(self._keys.tag(form))
                pipe.zrange(self._keys.tag_spellings(form), 0, -1, withscores=True)
            answers = pipe.execute()
        return [
            (int(found), {text(label): int(many) for label, many in spellings})
            for found, spellings in zip(answers[::2], answers[1::2], strict=True)
        ]

    def _most(self, limit: int) -> list[tuple[str, int]]:
        """The most frequent forms, without those that are only implied."""
        with translated():
            rows = self._redis.zrevrangebyscore(self._keys.tags, "+inf", 1, start=0, num=limit, withscores=True)
        return [(text(form), int(n)) for form, n in rows]

    def _ordered(self, start: int) -> Iterator[tuple[str, int]]:
        """All forms from a position on, as ``rows``."""
        while page := self.rows(start, PAGE):
            yield from page
            if len(page) < PAGE:
                return
            start += PAGE

    def _counts(self, forms: Sequence[tuple[str, int]]) -> list[TagCount]:
        found = self.spellings([form for form, _ in forms])
        return [
            TagCount(_common(form, n, spelled), n, max(0, many - n))
            for (form, n), (many, spelled) in zip(forms, found, strict=True)
        ]

    def _hit(self, form: str, member: bytes, oid: str, stored: bytes) -> TagHit | None:
        record = self._damaged.read(oid, stored)
        if record is None:
            return None
        head, rows = readable(stored)
        by = forms(rows).get(form)
        if head is None or by is None or member_of(head.number) != member:
            return None
        return _found(record, by or form, implied=bool(by))


def _beginning(prefix: str) -> Callable[[str], bool]:
    """Whether a form begins with a prefix, whose last word may be a plural: "cats" lists "cat", not "catamaran"."""
    begins, whole = folded(prefix), index_form(prefix)
    return lambda form: form.startswith((begins, f"{whole} ")) or form == whole


def _found(record: Record, form: str, *, implied: bool) -> TagHit | None:
    tags = [tag for tag in record.tags if index_form(tag.label) == form]
    if tags:
        tag = max(tags, key=lambda one: one.strength)
        return TagHit(record, tag.label, tag.score, tag.confidence, implied, segment=False)
    named = [one for one in segments(record) if index_form(one.label) == form]
    if not named:
        return None
    best = max(named, key=lambda one: one.score)
    return TagHit(record, best.label, best.score, None, implied, segment=True)


def _common(form: str, objects: int, spellings: Mapping[str, int]) -> str:
    """The most common spelling; ``spellings`` has all but the form itself."""
    plain = objects - sum(spellings.values())
    best = max(spellings, key=lambda label: (spellings[label], label), default=form)
    return best if spellings.get(best, 0) > plain else form
