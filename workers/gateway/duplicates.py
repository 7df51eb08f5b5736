"""The route that lists duplicates."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Annotated, Protocol

import anyio
import anyio.to_thread
import msgspec
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from tasks.duplicates import Copy, Group
from tasks.message_parts import place_of
from vectordb.decoders import from_msgpack
from workers.gateway import paging, responses
from workers.gateway.access import Access
from workers.gateway.api_keys import Scope
from workers.gateway.rate_limits import Kind
from workers.lifecycle.record_reader import Records

AT_ONCE = 4  # concurrent requests; each holds a thread while images are compared


LEAST = 2  # copies of a group
KIND = "duplicates"


class _Item(msgspec.Struct, frozen=True, array_like=True):
    """A group as it is kept, with the number of all groups, and the bytes that these waste."""

    total: int
    wasted: int
    group: Group


class CopyModel(BaseModel):
    """A picture of a group, compared with the first one."""

    bucket: str
    key: str
    pixels: int
    bytes: int
    transform: str = Field(description="What was done to the first one: `same`, `rotated 90°`, `mirrored` …")
    distance: int = Field(description="Bits of 256 in which the perceptual hashes differ.")
    cosine: float | None = Field(description="Cosine similarity of the vectors; null if one is not known.")
    exact: bool = Field(description="The bytes are known to be the same; in a folder they are not compared.")
    file_name: str | None = Field(description="The name of the uploaded file.")


class GroupModel(BaseModel):
    """Copies of one picture, the largest first. `wasted`: bytes of all but the first."""

    copies: list[CopyModel]
    wasted: int


class Duplicates(BaseModel):
    """Groups of copies, those that waste the most bytes first. `total`: the number of all groups."""

    groups: list[GroupModel]
    total: int
    wasted: int = Field(description="Bytes that all groups waste.")
    cursor: str | None


class Finder(Protocol):
    """Finds duplicates."""

    def find(self, *, fresh: bool = False) -> list[Group]:
        """See ``workers.images.duplicate_finder``."""
        ...


def router(finder: Finder, records: Records, access: Access, walks: paging.Walks) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["search"])
    threads = anyio.CapacityLimiter(AT_ONCE)  # separate, so that other routes work if no worker answers

    @routes.get(
        "/v1/duplicates", response_model=Duplicates, responses=responses.problems(400, 410, 422, 429, 503),
        dependencies=[Depends(access.needing(Scope.READ, Kind.EXPENSIVE))],
        operation_id="listDuplicates", summary="List duplicates",
    )  # fmt: skip
    async def duplicates(
        limit: paging.Limit = 50,
        cursor: paging.Cursor = None,
        refresh: Annotated[bool, Query(description="Compare again; else a result may be a minute old.")] = False,  # noqa: FBT002 -- a parameter of a URL
    ) -> Response:
        """Groups of copies of one picture: resized, compressed, turned or mirrored. Nothing is deleted.

        Further pages have the groups of the first one, without images that were removed since. They are kept for ten
        minutes after each page.
        """
        paged = partial(page, limit, cursor, fresh=refresh)
        return await anyio.to_thread.run_sync(paged, limiter=threads)

    def page(limit: int, cursor: str | None, *, fresh: bool) -> Response:
        if cursor is not None:
            rows, more = walks.further(KIND, [], limit, cursor, present)
        else:
            groups = finder.find(fresh=fresh)
            sums = len(groups), sum(group.wasted for group in groups)
            items = [msgspec.msgpack.encode(_Item(*sums, group)) for group in groups]
            rows, more = walks.kept(KIND, [], limit, items, present)
        total, wasted = (rows[0].total, rows[0].wasted) if rows else (0, 0)
        return responses.json({
            "groups": _shown([row.group for row in rows], records), "total": total, "wasted": wasted, "cursor": more,
        })  # fmt: skip

    def present(items: Sequence[bytes]) -> list[_Item | None]:
        """The groups without copies that were removed; those that have no copies any more are left out."""
        rows = [from_msgpack(item, _Item) for item in items]
        oids = list({copy.id for row in rows for copy in row.group.copies})
        there = {oid for oid, head in zip(oids, records.heads.of(oids), strict=True) if head is not None}
        return [_left(row, there) for row in rows]

    return routes


def _left(row: _Item, there: Collection[str]) -> _Item | None:
    left = tuple(copy for copy in row.group.copies if copy.id in there)
    if len(left) == len(row.group.copies):
        return row
    group = Group(left, sum(copy.bytes for copy in left[1:]))
    return None if len(left) < LEAST else _Item(row.total, row.wasted, group)


def _shown(groups: Sequence[Group], records: Records) -> list[dict[str, object]]:
    oids = [copy.id for group in groups for copy in group.copies]
    names = {oid: record.file_name for oid, record in zip(oids, records.get(oids), strict=True) if record}
    return [
        {"copies": [_copy(copy, names.get(copy.id) or None) for copy in group.copies], "wasted": group.wasted}
        for group in groups
    ]


def _copy(copy: Copy, file_name: str | None) -> dict[str, object]:
    bucket, key = place_of(copy.id)
    return {
        "bucket": bucket, "key": key, "pixels": copy.pixels, "bytes": copy.bytes, "transform": copy.transform,
        "distance": copy.distance, "cosine": copy.cosine, "exact": copy.exact, "file_name": file_name,
    }  # fmt: skip
