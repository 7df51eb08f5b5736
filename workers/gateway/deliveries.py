"""The routes that list and replay failed webhook deliveries."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response

from workers.gateway import models, paging, responses
from workers.gateway.access import Access
from workers.gateway.api_keys import Scope
from workers.gateway.problems import Problem
from workers.images.kept_lists import INVALID_CURSOR
from workers.lifecycle.times import public
from workers.notifying.dead_letters import DeadLetters, is_id

KIND = "dead letters"


def router(dead: DeadLetters, access: Access) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["webhooks"], dependencies=[Depends(access.needing(Scope.ADMIN))])
    usual = responses.problems(400, 404, 422, 429, 503)

    @routes.get("/v1/webhooks/dead", response_model=models.DeadLetters, responses=usual,
                operation_id="listDeadLetters", summary="List failed webhook deliveries")  # fmt: skip
    def listed(
        limit: paging.Limit = 50,
        cursor: paging.Cursor = None,
    ) -> Response:
        """Webhook deliveries that failed all attempts, newest first."""
        after = None if cursor is None else paging.opened(cursor, KIND, [], str)
        if after is not None and not is_id(after):
            raise Problem("bad-request", INVALID_CURSOR)
        found = dead.list(limit + 1, after)
        more = paging.sealed(KIND, [], found[limit - 1].id) if len(found) > limit else None
        return responses.json({"deliveries": public(found[:limit]), "cursor": more})

    @routes.post("/v1/webhooks/dead/{id}:replay", status_code=202, responses=usual,
                 operation_id="replayDeadLetter", summary="Send a failed webhook delivery again")  # fmt: skip
    def replay(id: str) -> Response:  # noqa: A002 -- the name in the path
        """Send a delivery again, with the full number of attempts."""
        if not dead.replay(id):
            raise Problem("not-found", "no delivery has this id")
        return Response(status_code=202)

    return routes
