"""Batches over HTTP; see ``workers.dispatch.batches``."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated

import anyio.to_thread
import structlog
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field, model_validator

from vectordb.errors import Transient, WildtagError
from workers.dispatch.batches import Batches
from workers.gateway import models
from workers.gateway.access import Access
from workers.gateway.api_keys import Scope
from workers.gateway.images import Images
from workers.gateway.patience import outlast
from workers.gateway.problems import Problem
from workers.gateway.segments import SegmentationMethod, Segments
from workers.gateway.services import Options
from workers.outages.tracker import OutageTracker

log = structlog.get_logger()

MOST = 10_000  # objects that are named one by one; a prefix may hold any number
REST_S = 1.0
_ID = re.compile(r"[0-9a-f]{24}")

Key = Annotated[str, Field(min_length=1, max_length=1024)]


class Wanted(BaseModel):
    """Exactly one of `keys`, `prefix` and `uploads`. `force`: tag what is tagged already once more.

    `segment`: how those named one by one are to be segmented; a prefix has its own setting.
    """

    keys: list[Key] | None = Field(None, min_length=1, max_length=MOST)
    prefix: Annotated[str, Field(max_length=1024)] | None = None
    uploads: list[Annotated[str, Field(max_length=64)]] | None = Field(None, min_length=1, max_length=MOST)
    force: bool = False
    segment: SegmentationMethod | None = None

    @model_validator(mode="after")
    def _one(self) -> Wanted:
        if self.segment is not None and self.prefix is not None:
            raise ValueError("segment goes with keys or uploads; for a prefix there is WILDTAG_SEGMENT_PREFIXES")
        if sum(part is not None for part in (self.keys, self.prefix, self.uploads)) != 1:
            raise ValueError("give exactly one of keys, prefix and uploads")
        return self


async def listing(batches: Batches, outage_tracker: OutageTracker) -> None:
    """List what batches over prefixes hold, for as long as this lasts."""
    while True:
        try:
            worked = await anyio.to_thread.run_sync(batches.list_page, abandon_on_cancel=True)
        except Transient as exc:
            if await outlast(outage_tracker, exc) is None:
                log.warning("batches are not listed", reason=str(exc))
            worked = False
        except WildtagError as exc:
            log.warning("batches are not listed", reason=str(exc))
            worked = False
        except Exception:  # a bug in the listing of one must not end that of all that come later
            log.exception("batches are not listed")
            worked = False
        await asyncio.sleep(0.0 if worked else REST_S)


def router(batches: Batches, images: Images, segments: Segments, options: Options, access: Access) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["batches"])
    reading, writing = [Depends(access.needing(Scope.READ))], [Depends(access.needing(Scope.WRITE))]
    usual = models.problems(400, 404, 422, 429, 501, 503)

    def stands(batch: str, start: int, limit: int, status: int = 200) -> Response:
        found = batches.status(batch, start, limit) if _ID.fullmatch(batch) else None
        if found is None:
            raise Problem("not-found", "there is no batch with this id")
        return models.json(found, status, {"Location": f"/v1/batches/{batch}"} if status == 202 else None)

    @routes.post("/v1/batches", status_code=202, response_model=models.Batch, dependencies=writing,
                 responses=usual | models.problems(408, 413))  # fmt: skip
    def begin(wanted: Wanted) -> Response:
        """Have objects of the bucket tagged, and count them together. What is tagged already counts at once."""
        segments.check(wanted.segment)
        if wanted.prefix is not None:
            batch = batches.of_prefix(wanted.prefix, force=wanted.force)
        elif wanted.keys is not None:
            keys = list(dict.fromkeys(wanted.keys))
            segments.wish([f"{options.bucket}/{key}" for key in keys], wanted.segment)
            batch = batches.of_keys(keys, announce=True, force=wanted.force)
        else:
            keys = [images.key(name) for name in dict.fromkeys(wanted.uploads or ())]
            segments.wish([f"{options.bucket}/{key}" for key in keys], wanted.segment)
            announce = wanted.force or wanted.segment is not None
            batch = batches.of_keys(keys, announce=announce, force=wanted.force)
        return stands(batch, 0, 50, 202)

    @routes.get("/v1/batches/{id}", response_model=models.Batch, responses=usual, dependencies=reading)
    def batch(id: str, limit: models.Limit = 50, cursor: models.Cursor = None) -> Response:  # noqa: A002
        """How a batch stands: its objects by state, and those without tags with the reasons, in pages."""
        return stands(id, models.position(cursor), limit)

    return routes
