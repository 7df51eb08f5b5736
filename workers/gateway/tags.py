"""Finding objects by their tags."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Response

from workers.gateway import models
from workers.gateway.access import Access
from workers.gateway.api_keys import Scope
from workers.lifecycle.record_reader import Records


def router(records: Records, access: Access) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["tags"], dependencies=[Depends(access.needing(Scope.READ))])
    usual = models.problems(400, 422, 429, 503)

    @routes.get("/v1/tags", response_model=models.Tags, responses=usual)
    def tags(
        prefix: Annotated[str, Query(max_length=200, description="how the tags begin")] = "",
        limit: models.Limit = 50,
        cursor: models.Cursor = None,
    ) -> Response:
        """Tags with the number of objects that carry them, the most frequent first."""
        found, more = records.tags(prefix, models.position(cursor), limit)
        rows = [{"label": label, "objects": count} for label, count in found]
        return models.json({"tags": rows, "cursor": None if more is None else str(more)})

    @routes.get("/v1/tags/{label:path}/objects", response_model=models.Tagged, responses=usual)
    def objects(
        label: Annotated[str, Path(max_length=200)],
        min_score: Annotated[float, Query(ge=0, le=1, description="only tags of this score or more")] = 0.0,
        limit: models.Limit = 50,
        cursor: models.Cursor = None,
    ) -> Response:
        """The objects with a tag, the best first. None, for a tag that nothing has."""
        start = models.position(cursor)
        found = records.best(label, min_score, start, limit)
        rows = [{"score": score, "record": msgspec.Raw(body)} for body, score in found if body is not None]
        more = str(start + limit) if len(found) == limit else None
        return models.json({"label": label, "objects": rows, "cursor": more})

    return routes
