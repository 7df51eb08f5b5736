"""The route that lists duplicates."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Protocol

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from tasks.duplicates import Group
from tasks.message_parts import place_of
from workers.gateway import paging, responses
from workers.gateway.access import Access
from workers.gateway.api_keys import Scope

AT_ONCE = 4  # concurrent requests; each holds a thread while images are compared


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


def router(finder: Finder, access: Access) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["search"])
    threads = anyio.CapacityLimiter(AT_ONCE)  # separate, so that other routes work if no worker answers

    @routes.get(
        "/v1/duplicates", response_model=Duplicates, responses=responses.problems(400, 422, 429, 503),
        dependencies=[Depends(access.needing(Scope.READ))], operation_id="listDuplicates", summary="List duplicates",
    )  # fmt: skip
    async def duplicates(
        limit: paging.Limit = 50,
        cursor: paging.Cursor = None,
        refresh: Annotated[bool, Query(description="Compare again; else a result may be a minute old.")] = False,  # noqa: FBT002 -- a parameter of a URL
    ) -> Response:
        """Groups of copies of one picture: resized, compressed, turned or mirrored. Nothing is deleted."""
        start = paging.position(cursor)
        finding = partial(finder.find, fresh=refresh and start == 0)
        groups = await anyio.to_thread.run_sync(finding, limiter=threads)
        page = [_shown(group) for group in groups[start : start + limit]]
        more = str(start + limit) if start + limit < len(groups) else None
        total = sum(group.wasted for group in groups)
        return responses.json({"groups": page, "total": len(groups), "wasted": total, "cursor": more})

    return routes


def _shown(group: Group) -> dict[str, object]:
    copies = []
    for copy in group.copies:
        bucket, key = place_of(copy.id)
        copies.append({
            "bucket": bucket, "key": key, "pixels": copy.pixels, "bytes": copy.bytes, "transform": copy.transform,
            "distance": copy.distance, "cosine": copy.cosine, "exact": copy.exact,
        })  # fmt: skip
    return {"copies": copies, "wasted": group.wasted}
