"""Lists the images that fulfil a filter, newest first, from the records alone: no worker is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from tasks.message_parts import place_of
from workers.images.ranked_lists import MOST, RankedHit
from workers.images.search_filter import SearchFilter
from workers.lifecycle.record import State
from workers.lifecycle.record_reader import Records, in_pages

FEW = 20_000  # objects with a tag, or below a prefix, that are read and sorted instead of going through all records
EXAMINED = 100_000  # objects that one search looks at
PAGE = 500


class Newest:
    """Reads the records. Raises ``StoreUnavailable``."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def find(self, where: SearchFilter) -> tuple[list[RankedHit], bool]:
        """At most ``MOST`` images, newest first, and whether there may be more.

        There may be if so many were found, or if ``EXAMINED`` objects were looked at.
        """
        found: dict[str, RankedHit] = {}
        examined = 0
        for page in in_pages(self._candidates(where), PAGE):
            examined += len(page)
            for hit in self._matching(page, where):
                found.setdefault(hit.id, hit)
            if len(found) > MOST or examined >= EXAMINED:
                return list(found.values())[:MOST], True
        return list(found.values()), False

    def _matching(self, oids: Sequence[str], where: SearchFilter) -> list[RankedHit]:
        placed = [oid for oid in oids if where.has_place(*place_of(oid))]
        labelled = self._labelled(placed, where)
        if where.dated:
            records = self._records.get(labelled)
            return [
                RankedHit(record.bucket, record.key, record.etag, 0.0)
                for record in records
                if record is not None and where.in_time(record)
            ]
        etags = [etag for etag, _ in self._records.known(labelled)]
        return [RankedHit(*place_of(oid), etag, 0.0) for oid, etag in zip(labelled, etags, strict=True) if etag]

    def _labelled(self, oids: Sequence[str], where: SearchFilter) -> list[str]:
        """Those that have the tags and none of the unwanted ones."""
        wanted = [(form, True) for form in where.tags] + [(form, False) for form in where.not_tags]
        if not wanted or not oids:
            return list(oids)
        heads = zip(oids, self._records.heads.of(oids), strict=True)
        left = [(oid, head.number) for oid, head in heads if head is not None]
        for form, has in wanted:
            if not left:
                break
            having = self._records.tag_index.having(form, left)
            left = [one for one, it in zip(left, having, strict=True) if it == has]
        return [oid for oid, _ in left]

    def _candidates(self, where: SearchFilter) -> Iterator[str]:
        """The objects that may fulfil it, newest first, as the list of records has them."""
        few = self._few(where)
        if few is None:
            yield from self._all(where.state or "done")
            return
        state = where.state or "done"
        times: list[tuple[float, str]] = []
        for page in in_pages(few, PAGE):
            heads = zip(self._records.heads.of(page), page, strict=True)
            there = {oid: head.number for head, oid in heads if head is not None and head.state == state}
            times += zip(self._records.times(list(there), list(there.values())), there, strict=True)
        yield from (oid for _, oid in sorted(times, reverse=True))

    def _few(self, where: SearchFilter) -> Iterator[str] | None:
        """The members of the smallest index that has all images of a filter; ``None`` if that is not small."""
        sizes: list[tuple[int, str | None]] = []
        sizes += [(self._records.tag_index.found_by(form), form) for form in where.tags]
        if where.bucket is not None:
            sizes.append((self._records.count_in(where.bucket, where.prefix), None))
        size, form = min(sizes, default=(FEW + 1, None), key=lambda one: one[0])
        if size > FEW:
            return None
        if form is not None:
            return islice(self._records.tag_index.tagged(form), 2 * FEW)
        keys = self._records.keys(where.bucket or "", where.prefix)
        return (f"{where.bucket}/{key}" for key in keys)

    def _all(self, state: State) -> Iterator[str]:
        return self._records.oids(state)
