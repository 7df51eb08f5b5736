"""The routes of webhooks: how receivers stand, and failed deliveries, which can be replayed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from workers.gateway import paging, responses, webhook_models
from workers.gateway.access import Access
from workers.gateway.api_keys import Scope
from workers.gateway.problems import Problem
from workers.images.kept_lists import INVALID_CURSOR
from workers.lifecycle.times import public
from workers.notifying.dead_letters import DeadLetters, is_id
from workers.notifying.receivers import Receivers
from workers.settings.webhook_kinds import NAME

KIND = "dead letters"


def router(dead: DeadLetters, receivers: Receivers, access: Access) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["webhooks"], dependencies=[Depends(access.needing(Scope.ADMIN))])
    usual = responses.problems(400, 404, 422, 429, 503)

    @routes.get("/v1/webhooks", response_model=webhook_models.WebhookReceivers,
                responses=responses.problems(429, 503), operation_id="listWebhookReceivers",
                summary="List the receivers of webhooks")  # fmt: skip
    def standing() -> Response:
        """What waits for each receiver, what was delivered, since when it fails, and its last answer."""
        return responses.json({"receivers": receivers.standing()})

    @routes.get("/v1/webhooks/dead", response_model=webhook_models.DeadLetters, responses=usual,
                operation_id="listDeadLetters", summary="List failed webhook deliveries")  # fmt: skip
    def listed(
        limit: paging.Limit = 50,
        cursor: paging.Cursor = None,
        receiver: Annotated[str | None, Query(pattern=f"^{NAME}$", description="Only of this receiver.")] = None,
    ) -> Response:
        """Webhook deliveries that failed all attempts, newest first."""
        after = None if cursor is None else paging.opened(cursor, KIND, [receiver], str)
        if after is not None and not is_id(after):
            raise Problem("bad-request", INVALID_CURSOR)
        found = dead.list(limit + 1, after, receiver)
        more = paging.sealed(KIND, [receiver], found[limit - 1].id) if len(found) > limit else None
        return responses.json({"deliveries": public(found[:limit]), "cursor": more})

    @routes.post("/v1/webhooks/dead/{id}:replay", status_code=202, responses=usual,
                 operation_id="replayDeadLetter", summary="Send a failed webhook delivery again")  # fmt: skip
    def replay(id: str) -> Response:  # noqa: A002 -- the name in the path
        """Send a delivery again, with the full number of attempts."""
        if not dead.replay(id):
            raise Problem("not-found", "no delivery has this id")
        return Response(status_code=202)

    return routes
