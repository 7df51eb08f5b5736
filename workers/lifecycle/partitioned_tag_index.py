"""The index by labels of all partitions, as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile

from tasks.labels.index_form import index_form
from workers.lifecycle.tag_index import TagHit, TagIndex
from workers.lifecycle.tag_ranks import TagRanks, bounds_of, in_order, split
from workers.redis.connection import Client, raw
from workers.redis.partitions import Partitions
from workers.redis.scatter import Scatter

FIRST = 100  # forms of each partition that are read at first
GROWTH = 4  # by which more forms of each partition are read, if the first ones do not decide


class PartitionedTagIndex(TagIndex):
    """See ``TagIndex``."""

    def __init__(self, partitions: Partitions, parts: Sequence[TagIndex], clients: Sequence[Client]) -> None:
        self._parts = Scatter(partitions, parts)
        pairs = enumerate(zip(clients, partitions.all, strict=True))
        self._ranks_of = Scatter(partitions, [TagRanks(*pair, partition) for partition, pair in pairs])

    def tagged(self, label: str) -> Iterator[str]:
        """See ``TagIndex``."""
        for part in self._parts.adapters:
            yield from part.tagged(label)

    def best(self, label: str, min_score: float, limit: int) -> list[bytes]:
        """See ``TagIndex``."""
        form, bounds = index_form(label), bounds_of(min_score)
        return in_order(self._ranks_of.each(lambda one: one.page(form, bounds, limit)))[:limit]

    def ranked(self, label: str, min_score: float) -> list[bytes]:
        """See ``TagIndex``."""
        form, bounds = index_form(label), bounds_of(min_score)
        return in_order(self._ranks_of.each(lambda one: one.all(form, bounds)))

    def read(self, label: str, places: Sequence[bytes]) -> list[TagHit | None]:
        """See ``TagIndex``."""
        mine: dict[int, list[bytes]] = {}
        for place in places:
            mine.setdefault(split(place)[0], []).append(place)
        pages = self._parts.some(list(mine), lambda part, partition: part.read(label, mine[partition]))
        hits = dict(zip(mine, map(iter, pages), strict=True))
        return [next(hits[split(place)[0]]) for place in places]

    def numbers(self, forms: Sequence[str]) -> list[int | None]:
        """See ``TagIndex``."""
        return [
            sum(known) if (known := [number for number in numbers if number is not None]) else None
            for numbers in zip(*self._parts.each(lambda part: part.numbers(forms)), strict=True)
        ]

    def found_by(self, form: str) -> int:
        """See ``TagIndex``."""
        return sum(self._parts.each(lambda part: part.found_by(form)))

    def having(self, form: str, objects: Sequence[tuple[str, int]]) -> list[bool]:
        """See ``TagIndex``."""
        oids = [oid for oid, _ in objects]
        return self._parts.gather(oids, lambda part, places: part.having(form, [objects[place] for place in places]))

    def rows(self, start: int, limit: int) -> list[tuple[str, int]]:
        """See ``TagIndex``."""
        return list(islice(self._merged(start + limit), start, start + limit))

    def all_rows(self) -> dict[str, int]:
        """See ``TagIndex``."""
        total: Counter[str] = Counter()
        for rows in self._parts.each(lambda part: part.all_rows()):
            total.update(rows)  # also those that are only implied, with 0
        return dict(total)

    def spellings(self, forms: Sequence[str]) -> list[tuple[int, dict[str, int]]]:
        """See ``TagIndex``."""
        found = []
        for of_form in zip(*self._parts.each(lambda part: part.spellings(forms)), strict=True):
            spelled: Counter[str] = Counter()
            for _, spellings in of_form:
                spelled.update(spellings)
            found.append((sum(many for many, _ in of_form), dict(spelled)))
        return found

    def _most(self, limit: int) -> list[tuple[str, int]]:
        return list(islice(takewhile(lambda one: one[1] > 0, self._merged(limit)), limit))

    def _ordered(self, start: int) -> Iterator[tuple[str, int]]:
        return islice(self._merged(start + FIRST), start, None)

    def _merged(self, first: int) -> Iterator[tuple[str, int]]:
        """All forms with their number of records, most frequent first.

        Reads the first ones of each partition, with exact sums. A form that is in none of these pages has at most as
        many records as the last ones of the pages together; what has more is in its place. Then more are read.
        """
        given, limit = 0, first
        while True:
            pages = self._parts.each(lambda part: part.rows(0, limit))  # noqa: B023 -- called at once
            counted = list(self._summed([dict(page) for page in pages]).items())
            counted.sort(key=lambda one: (one[1], raw(one[0])), reverse=True)
            unread = [page[-1][1] for page in pages if len(page) == limit]
            certain = counted if not unread else [one for one in counted if one[1] > sum(unread)]
            yield from certain[given:]
            if not unread:
                return
            given, limit = max(given, len(certain)), limit * GROWTH

    def _summed(self, pages: Sequence[dict[str, int]]) -> dict[str, int]:
        """The number of records of each form in some page. Each partition is asked for those that its page lacks."""
        forms = dict.fromkeys(form for page in pages for form in page)
        lacking = {partition: [form for form in forms if form not in page] for partition, page in enumerate(pages)}
        asked = [partition for partition, missing in lacking.items() if missing]
        answers = self._parts.some(asked, lambda part, partition: part.numbers(lacking[partition]))
        found: Counter[str] = Counter(dict.fromkeys(forms, 0))
        for page in pages:
            found.update(page)
        for partition, numbers in zip(asked, answers, strict=True):
            found.update({form: number or 0 for form, number in zip(lacking[partition], numbers, strict=True)})
        return found
