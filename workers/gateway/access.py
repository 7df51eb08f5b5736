"""Access control. A request presents its API key as ``Authorization: Bearer`` or, from the page, as a cookie.

On the loopback address no key is required by default. Pages of other sites in a user's browser must not get access:
requests for another host name (DNS rebinding) or from another origin are refused.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

import anyio.to_thread
from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPBearer
from pydantic import BaseModel, Field
from starlette.datastructures import Headers

from workers.gateway import responses
from workers.gateway.addresses import loopback
from workers.gateway.api_keys import ApiKey, ApiKeys, Scope
from workers.gateway.problems import Problem

COOKIE = "wildtag_key"
BELIEVED_S = 2.0  # how long a removed key may still work
KNOWN_MAX = 1000

# only documents the key in the OpenAPI document; ``Access`` reads it, because of the cookie
bearer = HTTPBearer(
    auto_error=False,
    description="An API key, made by `wildtag keys create`. Not required on the loopback address by default.",
)


@dataclass(frozen=True)
class Caller:
    """The caller of a request. ``name``: the key's id; empty without a key."""

    name: str
    scope: Scope


class Access:
    """Checks API keys, scopes, origins and rates.

    ``open_``: requests to the loopback address need no key. ``rate``: requests per second and caller. ``origins``:
    other sites whose pages may send requests that change data.
    """

    def __init__(
        self,
        keys: ApiKeys,
        *,
        admin_key: str | None,
        open_: bool,
        rate: float | None,
        origins: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._admin = None if admin_key is None else hashlib.sha256(admin_key.encode()).digest()
        self._open = open_
        self._rate = rate
        self._origins = origins
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[Caller | None, float]] = OrderedDict()
        self._buckets: OrderedDict[str, tuple[float, float]] = (
            OrderedDict()
        )  # tokens left, and when that was computed

    async def caller(self, request: Request, needed: Scope) -> Caller:
        """The caller, if it has the scope. Raises ``Problem``."""
        shown = _shown(request.headers, request.cookies.get(COOKIE))
        if shown is None:
            if not self._open:
                raise Problem(
                    "unauthorized", "an API key is required: Authorization: Bearer KEY",
                    headers={"WWW-Authenticate": "Bearer"},
                )  # fmt: skip
            _only_here(request)
            found: Caller | None = Caller("", Scope.ADMIN)
        else:
            found = await self.known(shown)
        if found is None:
            raise Problem("unauthorized", "unknown API key", headers={"WWW-Authenticate": "Bearer"})
        if request.method not in ("GET", "HEAD") and "authorization" not in request.headers:
            self.same_origin(request)
        if found.scope < needed:
            raise Problem("forbidden", f"the API key has the scope {found.scope.label}; {needed.label} is required")
        self._count(found)
        return found

    def needing(self, scope: Scope) -> Callable[..., object]:
        """A FastAPI dependency that requires a scope and stores the ``Caller`` in ``request.state``."""

        async def dependency(request: Request, _: Annotated[object, Depends(bearer)]) -> None:
            request.state.caller = await self.caller(request, scope)

        return dependency

    def same_origin(self, request: Request) -> None:
        """Raises ``Problem`` for a request from a page of another site."""
        origin = request.headers.get("origin")
        if origin is None or origin in self._origins or _place(origin) == request.headers.get("host"):
            return
        raise Problem("forbidden", f"pages of {origin[:200]} are not allowed to send this request")

    async def known(self, shown: str) -> Caller | None:
        """The caller with this key; ``None`` for an unknown key."""
        digest = hashlib.sha256(shown.encode()).digest()
        if self._admin is not None and hmac.compare_digest(digest, self._admin):
            return Caller("admin", Scope.ADMIN)
        caller, until = self._known.get(digest, (None, -1.0))
        if self._clock() >= until:
            key: ApiKey | None = await anyio.to_thread.run_sync(self._keys.look_up, shown)
            caller = None if key is None else Caller(key.id, key.scope)
            self._known[digest] = caller, self._clock() + BELIEVED_S
            self._known.move_to_end(digest)
            if len(self._known) > KNOWN_MAX:
                self._known.popitem(last=False)
        return caller

    def _count(self, caller: Caller) -> None:
        """Apply the rate limit: a token bucket per caller that holds two seconds' worth. Raises ``Problem``."""
        if self._rate is None:
            return
        now, full = self._clock(), max(1.0, 2 * self._rate)
        left, then = self._buckets.get(caller.name, (full, now))
        left = min(full, left + (now - then) * self._rate)
        if left < 1:
            wait = max(1, round((1 - left) / self._rate + 0.5))
            raise Problem.later("too-many", f"more than {self._rate:g} requests per second", wait)
        self._buckets[caller.name] = left - 1, now
        self._buckets.move_to_end(caller.name)
        if len(self._buckets) > KNOWN_MAX:
            self._buckets.popitem(last=False)


class Session(BaseModel):
    """An API key."""

    key: str = Field(min_length=1, max_length=500)


def router(access: Access) -> APIRouter:
    """The routes that sign the page in and out: the key becomes a cookie that scripts cannot read."""
    routes = APIRouter(tags=["access"])

    refused = responses.problems(400, 408, 413, 422, 503)

    @routes.post("/v1/session", status_code=204, responses=refused, operation_id="signIn", summary="Sign in")
    async def sign_in(request: Request, session: Session) -> Response:
        """Exchange an API key for a cookie. Only the web page needs this."""
        access.same_origin(request)
        if not session.key.isascii() or await access.known(session.key) is None:
            raise Problem("unauthorized", "unknown API key", headers={"WWW-Authenticate": "Bearer"})
        answer = Response(status_code=204)
        answer.set_cookie(
            COOKIE, session.key, httponly=True, samesite="strict", secure=request.url.scheme == "https",
            max_age=30 * 86_400,
        )  # fmt: skip
        return answer

    @routes.delete("/v1/session", status_code=204, operation_id="signOut", summary="Sign out")
    async def sign_out() -> Response:
        """Delete the cookie."""
        answer = Response(status_code=204)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    return routes


def _shown(headers: Headers, cookie: str | None) -> str | None:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" and key.strip() else cookie


def _only_here(request: Request) -> None:
    try:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname
    except ValueError:  # such as a bracket that is not closed
        host = None
    if not loopback(host or ""):
        raise Problem("forbidden", "without an API key only requests to 127.0.0.1 and localhost are allowed")


def _place(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
