"""The routes that list tags and the objects with a tag."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Response

from workers.gateway import models, paging, responses
from workers.gateway.access import Access
from workers.gateway.api_keys import Scope
from workers.lifecycle.record_reader import Records


def router(records: Records, access: Access) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["tags"], dependencies=[Depends(access.needing(Scope.READ))])
    usual = responses.problems(400, 422, 429, 503)

    @routes.get("/v1/tags", response_model=models.Tags, responses=usual, operation_id="listTags", summary="List tags")
    def tags(
        prefix: Annotated[
            str, Query(max_length=200, description="Only tags that start with this, in any spelling.")
        ] = "",
        limit: paging.Limit = 50,
        cursor: paging.Cursor = None,
    ) -> Response:
        """Tags and the number of objects with each, most frequent first.

        A tag in several spellings is one tag, shown in the most common one. Labels of segments count as tags. Tags
        that are only implied by others come last.
        """
        found, more = records.tag_index.listed(prefix, paging.position(cursor), limit)
        rows = [{"label": one.label, "objects": one.objects, "implied": one.implied} for one in found]
        return responses.json({"tags": rows, "cursor": None if more is None else str(more)})

    @routes.get("/v1/tags/{label:path}/objects", response_model=models.Tagged, responses=usual,
                operation_id="listTaggedObjects", summary="List the objects with a tag")  # fmt: skip
    def objects(
        label: Annotated[str, Path(max_length=200)],
        min_score: Annotated[
            float,
            Query(
                ge=0, le=1, description="Only objects with at least this confidence, or score where there is none."
            ),
        ] = 0.0,
        limit: paging.Limit = 50,
        cursor: paging.Cursor = None,
    ) -> Response:
        """The objects with a tag, surest first; empty for an unknown tag, with a `hint`.

        Any spelling finds a tag: case, hyphens and blanks, plural and Unicode normalisation do not count. Objects
        with the tag come first, then those with a segment of this label, then those with a tag that implies it, as
        "egyptian cat" implies "cat". A tag without a confidence, and the label of a segment, count by their score.
        """
        start = paging.position(cursor)
        found = records.tag_index.hits(label, min_score, start, limit)
        rows = [
            {"tag": one.label, "confidence": one.confidence, "score": one.score, "implied": one.implied,
             "segment": one.segment, "record": msgspec.Raw(one.body)}
            for one in found if one is not None
        ]  # fmt: skip
        more = str(start + limit) if len(found) == limit else None
        hint = None if start or found else records.tag_hints.unknown([label])
        body = {"label": records.tag_index.spelling(label), "objects": rows, "cursor": more, "hint": hint}
        return responses.json(body)

    return routes
