"""The route that lists records."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Response

from workers.gateway import models, paging, record_models, responses
from workers.gateway.access import Access
from workers.gateway.api_keys import Scope
from workers.gateway.views import shown
from workers.lifecycle.record import as_state
from workers.lifecycle.record_reader import Records
from workers.lifecycle.record_times import RecordPlace
from workers.lifecycle.record_view import View

KIND = "objects"
Tick = Annotated[int, msgspec.Meta(ge=0, lt=2**52)]
Number = Annotated[int, msgspec.Meta(ge=0, lt=2**40)]
Place: Any = tuple[Tick, Number, Number]  # see RecordPlace


def router(records: Records, access: Access) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["images"])

    @routes.get(
        "/v1/objects", response_model=models.Records, responses=responses.problems(400, 422, 429, 503),
        dependencies=[Depends(access.needing(Scope.READ))], operation_id="listObjects", summary="List records",
    )  # fmt: skip
    def newest(
        view: Annotated[View, Depends(shown)],
        state: Annotated[record_models.State | None, Query(description="Only records in this state.")] = None,
        limit: paging.Limit = 50,
        cursor: paging.Cursor = None,
    ) -> Response:
        """Records of all objects, newest object first.

        An object keeps its place for as long as it has a record, also when it is tagged again. So pages have no
        repeats and no gaps while objects arrive, are removed, and are tagged again.
        """
        after = None if cursor is None else RecordPlace(*paging.opened(cursor, KIND, [state], Place))
        found, last = records.page(after, limit, as_state(state) if state else None)
        more = None if last is None else paging.sealed(KIND, [state], last)
        return responses.json({"objects": list(map(view.record, found)), "cursor": more})

    return routes
