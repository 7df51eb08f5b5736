"""The routes that add, search and delete captions."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from vectordb.captions import SOURCE
from workers.gateway import models, responses
from workers.gateway.access import Access
from workers.gateway.api_keys import Scope
from workers.gateway.problems import Problem
from workers.gateway.rate_limits import Kind
from workers.gateway.services import CaptionStore, NoSuchCaption

AT_ONCE = 8  # concurrent calls to the workers; each holds a thread
_ID = re.compile(r"[0-9a-f]{16}")


class CaptionsRequest(BaseModel, extra="forbid"):
    """Captions to add. `source`: a name for their origin."""

    captions: list[Annotated[str, Field(min_length=1, max_length=1000)]] = Field(min_length=1, max_length=100)
    source: str = Field("taught", pattern=r"^[\w.@+-][\w.@+ -]{0,63}$")
    dry_run: bool = Field(default=False, description="Add nothing; only count the images that would be tagged again.")


def router(store: CaptionStore, access: Access) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["captions"])
    reading = [Depends(access.needing(Scope.READ, Kind.EXPENSIVE))]
    writing = [Depends(access.needing(Scope.WRITE, Kind.EXPENSIVE))]
    threads = anyio.CapacityLimiter(AT_ONCE)  # separate, so that other routes work if no worker answers

    @routes.post(
        "/v1/captions", status_code=201, response_model=models.Captions, dependencies=writing,
        operation_id="addCaptions", summary="Add captions",
        responses=responses.problems(400, 408, 413, 422, 429, 503)
        | {200: {"model": models.Captions, "description": "With `dry_run`: what would be added."}},
    )  # fmt: skip
    async def teach(wanted: CaptionsRequest) -> Response:
        """Add captions to the version in use. They are searched at once.

        Images for which a new caption is among the nearest are tagged again, after everything that is new.
        """
        teaching = partial(store.teach, wanted.captions, wanted.source, dry=wanted.dry_run)
        lesson = await anyio.to_thread.run_sync(teaching, limiter=threads)
        rows = [
            {"id": f"{caption.id:016x}", "caption": caption.text, "added": added, "images": count}
            for caption, added, count in lesson.captions
        ]
        body = {"captions": rows, "images": lesson.images, "complete": lesson.complete}
        return responses.json(body, 200 if wanted.dry_run else 201)

    @routes.get("/v1/captions/search", response_model=models.FoundCaptions, dependencies=reading,
                operation_id="searchCaptions", summary="Search captions",
                responses=responses.problems(400, 422, 429, 503))  # fmt: skip
    async def search(
        q: Annotated[str, Query(min_length=1, max_length=1000, description="A text.")],
        limit: Annotated[int, Query(ge=1, le=100)] = 10,
    ) -> Response:
        """The captions nearest to a text, by cosine similarity."""
        found = await anyio.to_thread.run_sync(store.search, q, limit, limiter=threads)
        rows = [
            {"id": f"{caption.id:016x}", "caption": caption.text, "similarity": round(similarity, 6),
             "source": caption.payload.get(SOURCE)}
            for caption, similarity in found
        ]  # fmt: skip
        return responses.json({"captions": rows})

    @routes.delete("/v1/captions/{id}", status_code=204, dependencies=writing,
                   operation_id="deleteCaption", summary="Delete a caption",
                   responses=responses.problems(400, 404, 422, 429, 503))  # fmt: skip
    async def remove(id: str) -> Response:  # noqa: A002 -- the name in the path
        """Delete a caption that was added over the API. Imported captions cannot be deleted.

        The images that it concerned are tagged again; `Wildtag-Images` is their number.
        """
        if not _ID.fullmatch(id):
            raise Problem("not-found", "no caption has this id")
        try:
            images = await anyio.to_thread.run_sync(store.remove_taught, id, limiter=threads)
        except NoSuchCaption as exc:
            raise Problem("not-found", str(exc)) from exc
        return Response(status_code=204, headers={"Wildtag-Images": str(images)})

    return routes
