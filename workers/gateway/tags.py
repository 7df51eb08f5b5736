"""The routes that list tags and the objects with a tag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from workers.gateway import models, paging, responses
from workers.gateway.access import Access
from workers.gateway.api_keys import Scope
from workers.gateway.views import shown
from workers.lifecycle.record_reader import Records
from workers.lifecycle.record_view import View
from workers.lifecycle.tag_index import TagCount


def router(records: Records, access: Access, walks: paging.Walks) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["tags"], dependencies=[Depends(access.needing(Scope.READ))])
    usual = responses.problems(400, 410, 422, 429, 503)

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
        that are only implied by others come last. Further pages have the tags that there were when the second one was
        asked for; they are kept for ten minutes after each.
        """
        index = records.tag_index

        def read(forms: Sequence[bytes]) -> list[TagCount | None]:
            found: list[TagCount | None] = []
            found += index.counted([form.decode() for form in forms])
            return found

        found, more = walks.page(
            "tags", [prefix], limit, cursor, read=read,
            first=lambda count: [form.encode() for form in index.listed(prefix, count)],
            rest=lambda: [form.encode() for form in index.all_listed(prefix)],
        )  # fmt: skip
        rows = [{"label": one.label, "objects": one.objects, "implied": one.implied} for one in found]
        return responses.json({"tags": rows, "cursor": more})

    @routes.get("/v1/tags/{label:path}/objects", response_model=models.Tagged, responses=usual,
                operation_id="listTaggedObjects", summary="List the objects with a tag")  # fmt: skip
    def objects(
        label: Annotated[str, Path(max_length=200)],
        view: Annotated[View, Depends(shown)],
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
        Further pages have what was listed when the second one was asked for, without what was removed since; they are
        kept for ten minutes after each.
        """
        index = records.tag_index
        found, more = walks.page(
            "tagged", [label, min_score], limit, cursor, read=lambda places: index.read(label, places),
            first=lambda count: index.best(label, min_score, count), rest=lambda: index.ranked(label, min_score),
        )  # fmt: skip
        rows = [
            {"tag": one.label, "confidence": one.confidence, "score": one.score, "implied": one.implied,
             "segment": one.segment, "record": view.record(one.record)}
            for one in found
        ]  # fmt: skip
        hint = None if cursor is not None or found else records.tag_hints.unknown([label])
        return responses.json({"label": index.spelling(label), "objects": rows, "cursor": more, "hint": hint})

    return routes
