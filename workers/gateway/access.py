"""Access control. A request presents its API key as ``Authorization: Bearer``, or is of a session of the page.

On the loopback address no key is required by default; such requests have the scope ``write``. Pages of other sites
in a user's browser must not get access: requests for another host name (DNS rebinding) or from another origin are
refused. A request that a proxy forwarded comes from somebody else, so it always needs a key: see
``workers.gateway.behind_proxy``.
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
from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers

from workers.gateway import sessions
from workers.gateway.addresses import loopback
from workers.gateway.api_keys import ApiKey, ApiKeys, Scope
from workers.gateway.behind_proxy import public_path, through_proxy
from workers.gateway.problems import Problem
from workers.gateway.rate_limits import Kind, RateLimits, client_of
from workers.gateway.requirements import needs
from workers.gateway.sessions import Sessions

BELIEVED_S = 2.0  # how long a removed key, or a session of it, may still work
KNOWN_MAX = 1000
WITHOUT_KEY = Scope.WRITE  # the scope of requests that need no key: every user of this machine can send them
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


BY_SETTINGS = Caller("admin", Scope.ADMIN)  # with an admin key of the settings or of the home


class Access:
    """Checks API keys, sessions, scopes, origins and rates.

    ``admin_keys``: keys with every scope besides those in Redis. ``open_``: requests to the loopback address need no
    key. ``limits``: of rates. ``origins``: other sites whose pages may send requests that change data.
    """

    def __init__(
        self,
        keys: ApiKeys,
        sessions: Sessions,
        *,
        admin_keys: Collection[str] = (),
        open_: bool,
        limits: RateLimits,
        origins: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._sessions = sessions
        self._admins = [hashlib.sha256(key.encode()).digest() for key in admin_keys]
        self._open = open_
        self.limits = limits
        self._origins = origins
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()
        self._unknown: OrderedDict[bytes, float] = OrderedDict()  # apart, so that guesses push out no valid key

    async def caller(self, request: Request, needed: Scope, kind: Kind = Kind.REQUEST) -> Caller:
        """The caller, if it has the scope. Raises ``Problem``, and ``Transient`` if keys cannot be looked up."""
        found = await self.checked(request, needed)
        self.limits.count(found.name, kind)
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
        shown, cookie = _bearer(request.headers), request.cookies.get(cookie_name(request))
        address = client_of(request.scope)
        if shown is not None:
            return await self.known(shown, address), True
        found = None if cookie is None else await self._signed_in(cookie, address)
        # an open gateway serves requests without a cookie, so also those whose session has ended
        if found is not None or (cookie is not None and not self._open):
            return found, False
        if not self._open:
            raise _no_key("an API key is required: Authorization: Bearer KEY")
        if (reason := through_proxy(request)) is not None:
            raise _no_key(f"a proxy forwarded this request ({reason}), so an API key is required")
        _only_here(request)
        return Caller("", WITHOUT_KEY), False

    def needing(self, scope: Scope, kind: Kind = Kind.REQUEST) -> Callable[..., object]:
        """A FastAPI dependency that documents the scope of a route, and what its requests count as.

        ``Entry`` enforces both before it reads a body.
        """

        async def dependency(request: Request, _: Annotated[object, Depends(bearer)]) -> None:
            if not isinstance(getattr(request.state, "caller", None), Caller):  # never, while ``Entry`` is installed
                request.state.caller = await self.caller(request, scope, kind)

        return needs(scope, kind)(dependency)

    def same_origin(self, request: Request) -> None:
        """Raises ``Problem`` for a request from a page of another site."""
        origin = request.headers.get("origin")
        if origin is None and request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
            origin = "another site"
        if origin is None or origin in self._origins or _place(origin) == request.headers.get("host"):
            return
        host = request.headers.get("host", "")[:200]
        raise Problem(
            "forbidden",
            f"pages of {origin[:200]} are not allowed to send this request to {host}. If a proxy publishes the"
            " gateway there, let it pass on the Host header, or send X-Forwarded-Host and name the proxy in"
            " WILDTAG_TRUSTED_PROXIES",
        )

    async def known(self, shown: str, address: str) -> Caller | None:
        """The caller with this key; ``None`` for an unknown key, which is a guess of the address.

        Raises ``Problem`` if the address has no guesses left.
        """
        digest = hashlib.sha256(shown.encode()).digest()
        if digest not in self._known:
            self.limits.check_guess(address, digest)
        if sum(hmac.compare_digest(digest, admin) for admin in self._admins):  # compares with all
            self._keep(digest, BY_SETTINGS)
            return BY_SETTINGS
        return await self._believed(digest, lambda: self._keys.look_up(shown), address)

    async def begin(self, shown: str, address: str) -> str:
        """Begin a session of the page with this key; gives its cookie. Raises ``Problem`` for an unknown key."""
        caller = await self.known(shown, address) if shown.isascii() else None
        if caller is None:
            raise _no_key("unknown API key")
        owner, binding = caller.name, b""
        if caller == BY_SETTINGS:
            owner, binding = sessions.ADMIN, hashlib.sha256(shown.encode()).digest()
        return await anyio.to_thread.run_sync(self._sessions.create, owner, binding)

    async def end(self, request: Request) -> None:
        """End the session of a request, if it has one."""
        shown = request.cookies.get(cookie_name(request))
        if shown is not None:
            for binding in self._bindings(shown):
                await anyio.to_thread.run_sync(self._sessions.end, shown, binding)
            self._known.pop(_digest_of_session(shown), None)

    async def _signed_in(self, shown: str, address: str) -> Caller | None:
        """The caller of a session; ``None`` if it has ended."""

        def key() -> ApiKey | None:
            owner = self._sessions.owner(shown)
            if owner is None or not any(self._sessions.known(shown, binding) for binding in self._bindings(shown)):
                return None
            return (
                ApiKey(BY_SETTINGS.name, "", BY_SETTINGS.scope, 0.0)
                if owner == sessions.ADMIN
                else self._keys.get(owner)
            )

        digest = _digest_of_session(shown)
        if digest not in self._known and not self._open:
            self.limits.check_guess(address, digest)
        return await self._believed(digest, key, None if self._open else address)

    def _bindings(self, shown: str) -> list[bytes]:
        return self._admins if self._sessions.owner(shown) == sessions.ADMIN else [b""]

    async def _believed(
        self, digest: bytes, look_up: Callable[[], ApiKey | None], address: str | None
    ) -> Caller | None:
        """The caller that ``look_up`` finds, which is asked again after ``BELIEVED_S``.

        ``address``: whose guess it is if there is no caller; ``None`` if it is not one.
        """
        caller, until = self._known.get(digest, (None, -1.0))
        if self._clock() < max(until, self._unknown.get(digest, -1.0)):
            return caller
        key = await anyio.to_thread.run_sync(look_up)
        if key is not None:
            self._unknown.pop(digest, None)
            return self._keep(digest, Caller(key.id, key.scope))
        self._known.pop(digest, None)
        self._unknown[digest] = self._clock() + BELIEVED_S
        self._unknown.move_to_end(digest)
        if len(self._unknown) > KNOWN_MAX:
            self._unknown.popitem(last=False)
        if address is not None:
            self.limits.guessed(address, digest)
        return None

    def _keep(self, digest: bytes, caller: Caller) -> Caller:
        self._known[digest] = caller, self._clock() + BELIEVED_S
        self._known.move_to_end(digest)
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        return caller

    def charge(self, caller: Caller, count: int) -> None:
        """Count ``count`` more uploads of a caller that has been admitted: they delay its next requests."""
        self.limits.charge(caller.name, Kind.UPLOAD, count)


def _bearer(headers: Headers) -> str | None:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" and key.strip() else None


def cookie_name(request: Request) -> str:
    """The name of the cookie: with the port and the root path that the browser knows.

    So stacks on other ports or below other paths keep theirs.
    """
    try:
        port = request.url.port
    except ValueError:
        port = None
    path = public_path(request).replace("/", ".")
    return f"wildtag_session_{port or (443 if request.url.scheme == 'https' else 80)}{path}"


def cookie_path(request: Request) -> str:
    """The path to which the browser sends the cookie: not to other applications of the same host."""
    return f"{public_path(request)}/"


def _digest_of_session(shown: str) -> bytes:
    return hashlib.sha256(b"session " + shown.encode("utf-8", "surrogatepass")).digest()


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
