"""Middleware: what is decided before a body is read, and checked again while a response is sent.

In order: whether there is such a route, who asks and whether that is allowed, the parameters of the URL, and the size
and form of a JSON body. So a request without access costs no more than its headers.

A key may be removed while its request is in progress: a stream, a long poll, a download. So access is checked again
before anything is sent later than ``recheck_s`` after the last check. Event streams send a comment that often.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any

from fastapi import Request, Response
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException

from vectordb.errors import Transient
from workers.gateway import image_types, json_bodies, problems
from workers.gateway.access import Access, Caller
from workers.gateway.body_memory import BodyMemory
from workers.gateway.openapi import WEBHOOK
from workers.gateway.problems import Problem
from workers.gateway.rate_limits import client_of
from workers.gateway.route_rules import SMALL, Rule

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class AccessLost(OSError):
    """The response was ended, because its caller has no access any more. To Starlette the client is gone."""


class Entry:
    """The middleware. ``rules``: of the routes, in their order. ``body_s``: maximum seconds for a small JSON body.

    ``files``: the paths of the pages, which are served with GET.
    """

    def __init__(
        self,
        app: Any,
        access: Access,
        rules: Iterable[Rule],
        memory: BodyMemory,
        body_s: float,
        recheck_s: float,
        files: Collection[str] = (),
    ) -> None:
        self._app = app
        self._access = access
        self._rules = tuple(rules)
        self._memory = memory
        self._body_s = body_s
        self._recheck_s = recheck_s
        self._files = files

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        request = Request(scope)
        rule = next((one for one in self._rules if one.matches(method, path)), None)
        if rule is None and not (path == WEBHOOK and method == "POST"):  # a file of the page, or an error
            await (self._no_rule(method, path) or self._app)(scope, receive, send)
            return
        try:
            if method == "POST" and path != WEBHOOK:
                image_types.check_encoding(request.headers)
            caller = await self._admitted(request, rule)
        except (Problem, Transient) as exc:
            await _stranger(exc).response()(scope, receive, send)
            return
        name = caller.name if caller is not None and caller.name else f"address {client_of(scope)}"
        with self._memory.lease(name) as lease:
            scope.setdefault("state", {}).update(caller=caller, lease=lease)
            try:
                if rule is not None and rule.limit is not None:
                    receive = await self._json(request, receive, rule.limit)
            except (Problem, HTTPException) as exc:
                await problems.of(exc).response()(scope, receive, send)
                return
            if caller is None or rule is None or rule.scope is None:
                await self._app(scope, receive, send)
            else:
                watched = _Watched(self._access, request, rule, self._recheck_s, self._limited(caller, rule, send))
                await watched.run(self._app, scope, receive)

    def _limited(self, caller: Caller, rule: Rule, send: Send) -> Send:
        """Adds what the caller has left of its limits to the response."""

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._access.limits.headers(caller.name, rule.kind))
            await send(message)

        return sending

    def _no_rule(self, method: str, path: str) -> Response | None:
        """The response for a path or a method that no route has; ``None`` for a file of the page."""
        if path == "*" and method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": "DELETE, GET, HEAD, OPTIONS, POST"})
        methods = {name for rule in self._rules for name in rule.methods_of(path)}
        if path == WEBHOOK:
            methods.add("POST")
        if path in self._files:
            methods.add("GET")
        if not methods:
            return Problem("not-found", f"there is nothing at {path[:200]!r}; /docs lists the routes").response()
        if method in methods:
            return None
        allow = {"Allow": ", ".join(sorted({*methods, "OPTIONS", *(["HEAD"] if "GET" in methods else [])}))}
        if method == "OPTIONS":
            return Response(status_code=204, headers=allow)
        detail = f"{method[:20]} is not possible here; allowed: {allow['Allow']}"
        return Problem("method-not-allowed", detail, headers=allow).response()

    async def _admitted(self, request: Request, rule: Rule | None) -> Caller | None:
        if rule is None:  # the webhook, which checks its token itself. Its URL may have any query: a server whose
            return None  # target was set with one sends every event there until it is accepted
        caller = None if rule.scope is None else await self._access.caller(request, rule.scope, rule.kind)
        rule.check_query(request.scope["query_string"])
        return caller

    async def _json(self, request: Request, receive: Receive, limit: int) -> Receive:
        """Reads the body and returns a ``receive`` that gives it. Raises ``Problem``, ``HTTPException``."""
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > limit:
            raise Problem("too-large", f"the body has more than {limit:,} bytes")
        seconds = self._body_s if limit <= SMALL else 2 * self._body_s
        body = await json_bodies.read(receive, request.state.lease, limit, seconds)
        if body is None:
            return receive  # the client is gone, as the application will see
        json_bodies.check(body)
        return json_bodies.replayed(body, receive)


class _Watched:
    """Sends the response of one request while its caller has access."""

    def __init__(self, access: Access, request: Request, rule: Rule, recheck_s: float, send: Send) -> None:
        self._access = access
        self._request = request
        self._rule = rule
        self._recheck_s = recheck_s
        self._send = send
        self._checked = time.monotonic()
        self._began = False
        self._lost = False

    async def run(self, app: Any, scope: Any, receive: Receive) -> None:
        try:
            await app(scope, receive, self._sending)
        except Exception:
            if not self._lost:  # else it is about the response that was ended
                raise

    async def _sending(self, message: Any) -> None:
        if self._lost:
            raise AccessLost
        if time.monotonic() - self._checked >= self._recheck_s:
            await self._check()
        self._began = True
        await self._send(message)

    async def _check(self) -> None:
        assert self._rule.scope is not None  # noqa: S101 -- for mypy: only such routes are watched
        try:
            await self._access.checked(self._request, self._rule.scope)
        except Transient:
            pass  # keys cannot be removed either while Redis is unavailable
        except Problem as problem:
            self._lost = True
            if self._began:
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await problem.response()(self._request.scope, self._request.receive, self._send)
            raise AccessLost from problem
        self._checked = time.monotonic()


def _stranger(exc: Exception) -> Problem:
    """The problem for a caller who is not known yet: without the addresses that errors name."""
    return problems.anonymous(exc) if isinstance(exc, Transient) else problems.of(exc)
