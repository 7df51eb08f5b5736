"""Who may do what. A request shows its API key as ``Authorization: Bearer`` or, from the page, as a cookie.

On the loopback address no key is needed by default. Then a page of another site, opened in somebody's browser, must
not get through either: requests are refused that name another host (DNS rebinding) or come from another origin.
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

from workers.gateway import models
from workers.gateway.addresses import loopback
from workers.gateway.api_keys import ApiKey, ApiKeys, Scope
from workers.gateway.problems import Problem

COOKIE = "wildtag_key"
BELIEVED_S = 2.0  # how long a key that was taken back may still work
KNOWN_MAX = 1000

# shows in the specification that a key may be wanted; the look at it is ours, for the cookie
bearer = HTTPBearer(
    auto_error=False, description="an API key (`wildtag keys create`); the loopback address needs none"
)


@dataclass(frozen=True)
class Caller:
    """Who asks. ``name`` stands for the key, or for everybody without one."""

    name: str
    scope: Scope


class Access:
    """Decides who gets in. ``open_``: without a key too, by the loopback address.

    ``origins``: whose pages may change things besides our own.
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
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # requests left, and when that was

    async def caller(self, request: Request, needed: Scope) -> Caller:
        """Who asks, if they may. Raises ``Problem``."""
        shown = _shown(request.headers, request.cookies.get(COOKIE))
        if shown is None:
            if not self._open:
                raise Problem(
                    "unauthorized", "an API key is needed: Authorization: Bearer …",
                    headers={"WWW-Authenticate": "Bearer"},
                )  # fmt: skip
            _only_here(request)
            found: Caller | None = Caller("", Scope.ADMIN)
        else:
            found = await self.known(shown)
        if found is None:
            raise Problem("unauthorized", "this API key is not known", headers={"WWW-Authenticate": "Bearer"})
        if request.method not in ("GET", "HEAD") and "authorization" not in request.headers:
            self.same_origin(request)
        if found.scope < needed:
            raise Problem("forbidden", f"this key's scope is {found.scope.label}; {needed.label} is needed")
        self._count(found)
        return found

    def needing(self, scope: Scope) -> Callable[..., object]:
        """A dependency that lets those in who may, and leaves the ``Caller`` in ``request.state``."""

        async def dependency(request: Request, _: Annotated[object, Depends(bearer)]) -> None:
            request.state.caller = await self.caller(request, scope)

        return dependency

    def same_origin(self, request: Request) -> None:
        """Raises ``Problem`` for what a page of another site wants changed."""
        origin = request.headers.get("origin")
        if origin is None or origin in self._origins or _place(origin) == request.headers.get("host"):
            return
        raise Problem("forbidden", f"pages of {origin[:200]} may not change anything here")

    async def known(self, shown: str) -> Caller | None:
        """Whose key this is."""
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
        """A bucket of tokens for each caller: bursts of two seconds' worth. Raises ``Problem``."""
        if self._rate is None:
            return
        now, full = self._clock(), max(1.0, 2 * self._rate)
        left, then = self._buckets.get(caller.name, (full, now))
        left = min(full, left + (now - then) * self._rate)
        if left < 1:
            wait = max(1, round((1 - left) / self._rate + 0.5))
            raise Problem.later("too-many", f"more than {self._rate:g} requests a second", wait)
        self._buckets[caller.name] = left - 1, now
        self._buckets.move_to_end(caller.name)
        if len(self._buckets) > KNOWN_MAX:
            self._buckets.popitem(last=False)


class Session(BaseModel):
    """An API key."""

    key: str = Field(min_length=1, max_length=500)


def router(access: Access) -> APIRouter:
    """Signing in, for the page: the key becomes a cookie that no script can read."""
    routes = APIRouter(tags=["access"])

    refused = models.problems(400, 408, 413, 422, 503)

    @routes.post("/v1/session", status_code=204, responses=refused)
    async def sign_in(request: Request, session: Session) -> Response:
        """Exchange an API key for a cookie. Only pages need it."""
        access.same_origin(request)
        if not session.key.isascii() or await access.known(session.key) is None:
            raise Problem("unauthorized", "this API key is not known", headers={"WWW-Authenticate": "Bearer"})
        answer = Response(status_code=204)
        answer.set_cookie(
            COOKIE, session.key, httponly=True, samesite="strict", secure=request.url.scheme == "https",
            max_age=30 * 86_400,
        )  # fmt: skip
        return answer

    @routes.delete("/v1/session", status_code=204)
    async def sign_out() -> Response:
        """Forget the cookie."""
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
    except ValueError:  # a bracket that is not closed, for one
        host = None
    if not loopback(host or ""):
        raise Problem("forbidden", "without an API key only 127.0.0.1 and localhost are answered")


def _place(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
