"""Access control. A request presents its API key as ``Authorization: Bearer`` or, from the page, as a cookie.

On the loopback address no key is required by default; such requests have the scope ``write``. Pages of other sites
in a user's browser must not get access: requests for another host name (DNS rebinding) or from another origin are
refused. A request that a proxy forwarded comes from somebody else, so it always needs a key.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Annotated, TypeVar
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
_NEEDS = "__wildtag_scope__"
BELIEVED_S = 2.0  # how long a removed key may still work
KNOWN_MAX = 1000
WITHOUT_KEY = Scope.WRITE  # the scope of requests that need no key: every user of this machine can send them
# set by proxies; also every header that begins with one of the prefixes
FORWARDED = frozenset({
    "forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "x-original-host", "x-original-for",
    "true-client-ip", "cf-connecting-ip", "fastly-client-ip", "fly-client-ip", "client-ip", "x-remote-ip",
    "x-remote-addr", "x-originating-ip", "x-proxyuser-ip", "x-real-port", "x-azure-clientip", "x-nginx-proxy",
    "x-original-url", "x-rewrite-url", "x-arr-log-id", "x-arr-ssl", "x-varnish", "cdn-loop",
    "remote-user", "x-remote-user", "forwarded-for",
})  # fmt: skip
FORWARDED_PREFIXES = ("x-forwarded", "x-envoy-", "x-auth-request-", "x-vercel-", "cf-", "ngrok-", "tailscale-")

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

    ``admin_keys``: keys with every scope besides those in Redis. ``open_``: requests to the loopback address need no
    key. ``rate``: requests per second and caller. ``origins``: other sites whose pages may send requests that change
    data.
    """

    def __init__(
        self,
        keys: ApiKeys,
        *,
        admin_keys: Collection[str] = (),
        open_: bool,
        rate: float | None,
        origins: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._admins = [hashlib.sha256(key.encode()).digest() for key in admin_keys]
        self._open = open_
        self._rate = rate
        self._origins = origins
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[Caller | None, float]] = OrderedDict()
        self._buckets: OrderedDict[str, tuple[float, float]] = (
            OrderedDict()
        )  # tokens left, and when that was computed

    async def caller(self, request: Request, needed: Scope) -> Caller:
        """The caller, if it has the scope. Raises ``Problem``, and ``Transient`` if keys cannot be looked up."""
        found = await self.checked(request, needed)
        self._count(found)
        return found

    async def checked(self, request: Request, needed: Scope) -> Caller:
        """The same, without counting the request. For requests in progress, whose key may have been removed."""
        found, by_header = await self._found(request)
        if found is None:
            raise _no_key("unknown API key")
        # only a key of ours: browsers send the Authorization header of a proxy (Basic) with every site's requests
        if request.method not in ("GET", "HEAD") and not by_header:
            self.same_origin(request)
        if found.scope < needed:
            raise Problem("forbidden", _too_low(found, needed))
        return found

    async def _found(self, request: Request) -> tuple[Caller | None, bool]:
        """The caller, and whether its key was in the Authorization header. Raises ``Problem`` if a key is missing."""
        shown, cookie = _bearer(request.headers), request.cookies.get(COOKIE)
        if shown is not None:
            return await self.known(shown), True
        found = None if cookie is None else await self.known(cookie)
        # an open gateway gives more to requests without a cookie; the cookie may be of a stack on another port
        if found is not None or (cookie is not None and not self._open):
            return found, False
        if not self._open:
            raise _no_key("an API key is required: Authorization: Bearer KEY")
        if (header := forwarded(request.headers)) is not None:
            raise _no_key(f"a proxy forwarded this request (it has the header {header}), so an API key is required")
        _only_here(request)
        return Caller("", WITHOUT_KEY), False

    def needing(self, scope: Scope) -> Callable[..., object]:
        """A FastAPI dependency that documents the scope of a route. ``Entry`` enforces it before it reads a body."""

        async def dependency(request: Request, _: Annotated[object, Depends(bearer)]) -> None:
            if not isinstance(getattr(request.state, "caller", None), Caller):  # never, while ``Entry`` is installed
                request.state.caller = await self.caller(request, scope)

        return needs(scope)(dependency)

    def same_origin(self, request: Request) -> None:
        """Raises ``Problem`` for a request from a page of another site."""
        origin = request.headers.get("origin")
        if origin is None and request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
            origin = "another site"
        if origin is None or origin in self._origins or _place(origin) == request.headers.get("host"):
            return
        raise Problem("forbidden", f"pages of {origin[:200]} are not allowed to send this request")

    async def known(self, shown: str) -> Caller | None:
        """The caller with this key; ``None`` for an unknown key."""
        digest = hashlib.sha256(shown.encode()).digest()
        if sum(hmac.compare_digest(digest, admin) for admin in self._admins):  # compares with all
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


Endpoint = TypeVar("Endpoint", bound=Callable[..., object])


def needs(scope: Scope) -> Callable[[Endpoint], Endpoint]:
    """Declares the scope that a route needs, on its endpoint or on one of its dependencies."""

    def declared(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _NEEDS, scope)
        return endpoint

    return declared


def needed_by(functions: Iterable[object]) -> Scope | None:
    """The highest scope that these functions declare; ``None`` if they declare none."""
    return max((scope for f in functions if (scope := getattr(f, _NEEDS, None)) is not None), default=None)


def forwarded(headers: Headers) -> str | None:
    """The header by which a proxy says that it forwarded a request; ``None`` if there is none."""
    return next((name for name in headers if name in FORWARDED or name.startswith(FORWARDED_PREFIXES)), None)


class Session(BaseModel, extra="forbid"):
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
            raise _no_key("unknown API key")
        answer = Response(status_code=204)
        answer.set_cookie(
            COOKIE, session.key, httponly=True, samesite="strict", secure=request.url.scheme == "https",
            max_age=30 * 86_400,
        )  # fmt: skip
        return answer

    @routes.delete("/v1/session", status_code=204, responses=responses.problems(422), operation_id="signOut",
                   summary="Sign out")  # fmt: skip
    async def sign_out(request: Request) -> Response:
        """Delete the cookie."""
        access.same_origin(request)
        answer = Response(status_code=204)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    return routes


def _bearer(headers: Headers) -> str | None:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" and key.strip() else None


def _no_key(detail: str) -> Problem:
    return Problem("unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})


def _too_low(caller: Caller, needed: Scope) -> str:
    if not caller.name:
        return f"{needed.label} is required: send an API key. Without one the scope is {caller.scope.label}"
    return f"the API key has the scope {caller.scope.label}; {needed.label} is required"


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
