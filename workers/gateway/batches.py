"""The routes of batches; see ``workers.dispatch.object_batches``."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated

import anyio.to_thread
import msgspec
import structlog
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field, model_validator

from vectordb.errors import Transient, WildtagError
from workers.dispatch.batch_room import BatchesFull
from workers.dispatch.object_batches import Batches
from workers.gateway import models, paging, responses
from workers.gateway.access import Access, Caller
from workers.gateway.admission import Admission
from workers.gateway.api_keys import Scope
from workers.gateway.images import Images
from workers.gateway.patience import outlast
from workers.gateway.problems import Problem
from workers.gateway.rate_limits import Kind
from workers.gateway.segments import SegmentationMethod, Segments
from workers.gateway.services import Options
from workers.lifecycle.times import rfc3339
from workers.outages.tracker import OutageTracker

log = structlog.get_logger()

MOST = 10_000  # maximum number of listed keys or uploads; a prefix has no limit
REST_S = 1.0
KIND = "batch"
Position = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
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
    """List the objects of batches over prefixes, and report finished batches, until cancelled."""
    clock = asyncio.get_running_loop().time
    due = 0.0
    while True:
        try:
            worked = await anyio.to_thread.run_sync(batches.list_page, abandon_on_cancel=True)
            if clock() >= due:
                await anyio.to_thread.run_sync(batches.look, abandon_on_cancel=True)
                due = clock() + REST_S
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


def router(
    batches: Batches, images: Images, segments: Segments, options: Options, access: Access, admission: Admission
) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["batches"])
    reading = [Depends(access.needing(Scope.READ))]
    writing = [Depends(access.needing(Scope.WRITE, Kind.EXPENSIVE))]
    usual = responses.problems(400, 404, 422, 429, 501, 503)

    def full(exc: BatchesFull) -> Problem:
        return Problem.later("too-many" if exc.share else "busy", f"{exc}; try again later", 30)

    def stands(batch: str, cursor: str | None, limit: int, status: int = 200) -> Response:
        starts = None if cursor is None else paging.opened(cursor, KIND, [batch], list[Position])
        found = batches.status(batch, starts, limit) if _ID.fullmatch(batch) else None
        if found is None:
            raise Problem("not-found", "no batch has this id")
        body = {name: value for name, value in msgspec.structs.asdict(found).items() if name != "further"}
        body["created_at"] = rfc3339(found.created_at)
        body["cursor"] = None if found.further is None else paging.sealed(KIND, [batch], found.further)
        return responses.json(body, status, {"Location": f"/v1/batches/{batch}"} if status == 202 else None)

    @routes.post("/v1/batches", status_code=202, response_model=models.Batch, dependencies=writing,
                 operation_id="createBatch", summary="Create a batch",
                 responses=usual | responses.problems(408, 413))  # fmt: skip
    def begin(request: Request, wanted: BatchRequest) -> Response:
        """Tag a set of objects and track them together. Objects that already have tags count as done."""
        segments.check(wanted.segment)
        caller: Caller = request.state.caller
        if wanted.prefix is not None:
            admission.admit(caller)  # its objects are listed as there is room for them
            try:
                batch = batches.of_prefix(wanted.prefix, force=wanted.force, owner=caller.name)
            except BatchesFull as exc:
                raise full(exc) from exc
        else:
            known = wanted.keys is None and not wanted.force and wanted.segment is None  # no events for uploads
            keys = wanted.keys or [images.key(name) for name in wanted.uploads or ()]
            keys = list(dict.fromkeys(keys))
            try:
                batches.room.check(len(keys), caller.name)
            except BatchesFull as exc:
                raise full(exc) from exc
            admission.admit(caller, 1 if known else len(keys), wanted.segment)
            segments.request([f"{options.bucket}/{key}" for key in keys], wanted.segment)
            batch = batches.of_keys(keys, announce=not known, force=wanted.force, owner=caller.name)
        return stands(batch, None, 50, 202)

    @routes.get("/v1/batches/{id}", response_model=models.Batch, responses=usual, dependencies=reading,
                operation_id="getBatch", summary="Get the state of a batch")  # fmt: skip
    def batch(id: str, limit: paging.Limit = 50, cursor: paging.Cursor = None) -> Response:  # noqa: A002
        """The number of its objects by state, and a page of the objects without tags and the reasons.

        The objects are listed in the order in which they ended. `gone` ones are named, too: they are not in the
        bucket, or are excluded by the filter.
        """
        return stands(id, cursor, limit)

    return routes
