"""The routes that sign the page in and out: an API key begins a session, whose cookie scripts cannot read."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from workers.gateway import responses
from workers.gateway.access import Access, cookie_name, cookie_path
from workers.gateway.rate_limits import client_of
from workers.gateway.sessions import LONGEST_S

OLD_COOKIE = "wildtag_key"  # of earlier versions; it held the API key


class Session(BaseModel, extra="forbid"):
    """An API key."""

    key: str = Field(min_length=1, max_length=500)


def router(access: Access) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["access"])

    refused = responses.problems(400, 408, 413, 422, 429, 503)

    @routes.post("/v1/session", status_code=204, responses=refused, operation_id="signIn", summary="Sign in")
    async def sign_in(request: Request, session: Session) -> Response:
        """Exchange an API key for the cookie of a session. Only the web page needs this."""
        access.same_origin(request)
        shown = await access.begin(session.key, client_of(request.scope))
        await access.end(request)  # the one before
        answer = Response(status_code=204)
        # a proxy may have taken TLS off, but the browser names the page's origin
        secure = request.url.scheme == "https" or request.headers.get("origin", "").startswith("https:")
        answer.set_cookie(
            cookie_name(request), shown, path=cookie_path(request), httponly=True, samesite="strict", secure=secure,
            max_age=LONGEST_S,
        )  # fmt: skip
        answer.delete_cookie(OLD_COOKIE, httponly=True, samesite="strict")
        return answer

    @routes.delete("/v1/session", status_code=204, responses=responses.problems(422, 503), operation_id="signOut",
                   summary="Sign out")  # fmt: skip
    async def sign_out(request: Request) -> Response:
        """End the session and delete its cookie."""
        access.same_origin(request)
        await access.end(request)
        answer = Response(status_code=204)
        answer.delete_cookie(cookie_name(request), path=cookie_path(request), httponly=True, samesite="strict")
        answer.delete_cookie(OLD_COOKIE, httponly=True, samesite="strict")
        return answer

    return routes
