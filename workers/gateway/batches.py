"""The routes of batches; see ``workers.dispatch.object_batches``."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated

import anyio.to_thread
import structlog
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field, model_validator

from vectordb.errors import Transient, WildtagError
from workers.dispatch.object_batches import Batches
from workers.gateway import models, paging, responses
from workers.gateway.access import Access
from workers.gateway.api_keys import Scope
from workers.gateway.images import Images
from workers.gateway.patience import outlast
from workers.gateway.problems import Problem
from workers.gateway.segments import SegmentationMethod, Segments
from workers.gateway.services import Options
from workers.outages.tracker import OutageTracker

log = structlog.get_logger()

MOST = 10_000  # maximum number of listed keys or uploads; a prefix has no limit
REST_S = 1.0
_ID = re.compile(r"[0-9a-f]{24}")

Key = Annotated[str, Field(min_length=1, max_length=1024)]


class BatchRequest(BaseModel, extra="forbid"):
    """The objects of a batch: exactly one of `keys`, `prefix` and `uploads`.

    `force`: tag objects again that already have tags. `segment`: the segmentation method for `keys` and `uploads`.
    """

    keys: list[Key] | None = Field(None, min_length=1, max_length=MOST)
    prefix: Annotated[str, Field(max_length=1024)] | None = None
    uploads: list[Annotated[str, Field(max_length=64)]] | None = Field(None, min_length=1, max_length=MOST)
    force: bool = False
    segment: SegmentationMethod | None = None

    @model_validator(mode="after")
    def _one(self) -> BatchRequest:
        if self.segment is not None and self.prefix is not None:
            raise ValueError("segment requires keys or uploads; for a prefix set WILDTAG_SEGMENT_PREFIXES")
        if sum(part is not None for part in (self.keys, self.prefix, self.uploads)) != 1:
            raise ValueError("give exactly one of keys, prefix and uploads")
        return self


async def listing(batches: Batches, outage_tracker: OutageTracker) -> None:
    """List the objects of batches over prefixes, until cancelled."""
    while True:
        try:
            worked = await anyio.to_thread.run_sync(batches.list_page, abandon_on_cancel=True)
        except Transient as exc:
            if await outlast(outage_tracker, exc) is None:
                log.warning("listing of batches failed", reason=str(exc))
            worked = False
        except WildtagError as exc:
            log.warning("listing of batches failed", reason=str(exc))
            worked = False
        except Exception:  # a bug in the listing of one batch must not stop the others
            log.exception("listing of batches failed")
            worked = False
        await asyncio.sleep(0.0 if worked else REST_S)


def router(batches: Batches, images: Images, segments: Segments, options: Options, access: Access) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["batches"])
    reading, writing = [Depends(access.needing(Scope.READ))], [Depends(access.needing(Scope.WRITE))]
    usual = responses.problems(400, 404, 422, 429, 501, 503)

    def stands(batch: str, start: int, limit: int, status: int = 200) -> Response:
        found = batches.status(batch, start, limit) if _ID.fullmatch(batch) else None
        if found is None:
            raise Problem("not-found", "no batch has this id")
        return responses.json(found, status, {"Location": f"/v1/batches/{batch}"} if status == 202 else None)

    @routes.post("/v1/batches", status_code=202, response_model=models.Batch, dependencies=writing,
                 operation_id="createBatch", summary="Create a batch",
                 responses=usual | responses.problems(408, 413))  # fmt: skip
    def begin(wanted: BatchRequest) -> Response:
        """Tag a set of objects and track them together. Objects that already have tags count as done."""
        segments.check(wanted.segment)
        if wanted.prefix is not None:
            batch = batches.of_prefix(wanted.prefix, force=wanted.force)
        elif wanted.keys is not None:
            keys = list(dict.fromkeys(wanted.keys))
            segments.request([f"{options.bucket}/{key}" for key in keys], wanted.segment)
            batch = batches.of_keys(keys, announce=True, force=wanted.force)
        else:
            keys = [images.key(name) for name in dict.fromkeys(wanted.uploads or ())]
            segments.request([f"{options.bucket}/{key}" for key in keys], wanted.segment)
            announce = wanted.force or wanted.segment is not None
            batch = batches.of_keys(keys, announce=announce, force=wanted.force)
        return stands(batch, 0, 50, 202)

    @routes.get("/v1/batches/{id}", response_model=models.Batch, responses=usual, dependencies=reading,
                operation_id="getBatch", summary="Get the state of a batch")  # fmt: skip
    def batch(id: str, limit: paging.Limit = 50, cursor: paging.Cursor = None) -> Response:  # noqa: A002
        """The number of its objects by state, and a page of the objects without tags and the reasons."""
        return stands(id, paging.position(cursor), limit)

    return routes
