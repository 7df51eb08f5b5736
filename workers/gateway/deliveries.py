"""Webhooks that were given up: looking at them, and sending them again."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response

from workers.gateway import models
from workers.gateway.access import Access
from workers.gateway.api_keys import Scope
from workers.gateway.problems import Problem
from workers.notifying.dead_letters import DeadLetters


def router(dead: DeadLetters, access: Access) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["webhooks"], dependencies=[Depends(access.needing(Scope.ADMIN))])
    usual = models.problems(400, 404, 422, 429, 503)

    @routes.get("/v1/webhooks/dead", response_model=models.DeadLetters, responses=usual)
    def listed(
        limit: models.Limit = 50,
        cursor: models.Cursor = None,
    ) -> Response:
        """Deliveries that failed for good, the newest first."""
        found = dead.list(limit, cursor)
        return models.json({"deliveries": found, "cursor": found[-1].id if len(found) == limit else None})

    @routes.post("/v1/webhooks/dead/{id}:replay", status_code=202, responses=usual)
    def replay(id: str) -> Response:  # noqa: A002 -- the address's name
        """Send one again, with all its attempts before it."""
        if not dead.replay(id):
            raise Problem("not-found", "there is no such delivery")
        return Response(status_code=202)

    return routes
