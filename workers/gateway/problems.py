"""Errors as problem documents (RFC 9457). ``type`` is stable and for programs, ``detail`` is for people.

======================  ======  =============================================================================
type, after the prefix  status  when
======================  ======  =============================================================================
bad-request             400     the request is invalid: a header, a cursor, an old name, a truncated body
bad-key                 400     the path has a key that is not UTF-8
unauthorized            401     an API key is required, or the key is unknown
forbidden               403     the key's scope, the origin or the store does not allow it
not-found               404     the image, object, batch, caption or path does not exist
ignored                 404     the object exists, but the settings exclude its key; ``detail`` names the rule
method-not-allowed      405     the path does not support the HTTP method
timeout                 408     the body arrived too slowly
conflict                409     a request with this Idempotency-Key is in progress
expired                 410     the cursor has expired: search again
too-large               413     the body has too many bytes, or too many values
uri-too-long            414     the URL has too many bytes
not-an-image            415     the file is not an image of a supported format
unsupported-encoding    415     the body is compressed or encoded, so its bytes are not those of the file
mismatch                422     the Idempotency-Key was used with another body
bad-image               422     the image cannot be decoded; ``code`` is that of a failed record
invalid                 422     parameters or fields are invalid; ``errors`` lists them
too-many                429     too many requests at once or per second; see ``Retry-After``
headers-too-large       431     the headers have too many bytes
internal                500     a bug, here or in a worker; see the gateway's log
unsupported             501     not available in this deployment; ``detail`` names alternatives
unavailable             503     a service behind the gateway is unavailable; see ``Retry-After``
busy                    503     the queue is full; see ``Retry-After``
no-space                507     a disk is full or read-only; see ``Retry-After``
======================  ======  =============================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from vectordb.errors import Permanent, Transient, WildtagError
from workers.errors import consequences
from workers.errors.consequences import Consequence
from workers.gateway.access_log import HEADER, shown
from workers.monitoring.catalogue import HTTP_REFUSED
from workers.monitoring.meter import METER
from workers.stores.store import ObjectForbidden, ObjectGone, ObjectTooLarge
from workers.telemetry.origin import current

log = structlog.get_logger()

ERRORS = 20  # maximum number of listed errors
NAMED = 3  # of them in ``detail``
PREFIX = "urn:wildtag:problem:"
MEDIA_TYPE = "application/problem+json"
_STATUS = {
    "bad-request": 400, "bad-key": 400, "unauthorized": 401, "forbidden": 403, "not-found": 404, "ignored": 404,
    "method-not-allowed": 405, "timeout": 408, "conflict": 409, "expired": 410, "too-large": 413, "uri-too-long": 414,
    "not-an-image": 415, "unsupported-encoding": 415, "mismatch": 422, "bad-image": 422, "invalid": 422,
    "too-many": 429, "headers-too-large": 431, "internal": 500, "unsupported": 501, "unavailable": 503, "busy": 503,
    "no-space": 507,
}  # fmt: skip
REFUSED = frozenset({401, 403, 408, 413, 414, 429, 431, 503, 507})
_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (ObjectGone, "not-found"), (ObjectTooLarge, "too-large"), (ObjectForbidden, "forbidden"),
)  # fmt: skip
# for errors of the framework and of ``Guards``
_NAMES = {404: "not-found", 405: "method-not-allowed", 408: "timeout", 413: "too-large"}


class Problem(Exception):
    """Ends a request with a problem document.

    ``name``: a type of the table above. ``reason``: what metrics call it; by default as the type.
    """

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        reason: str | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.reason = reason or name
        self.name = name
        self.status = _STATUS[name]
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more

    @classmethod
    def later(cls, name: str, detail: str, seconds: int) -> Problem:
        """A temporary problem: retry after ``seconds``."""
        return cls(name, detail, headers={"Retry-After": str(seconds)})

    def response(self) -> Response:
        """The response with the document. Counts it if the request was refused for want of access or room."""
        if self.status in REFUSED:
            METER.count(HTTP_REFUSED, 1.0, self.reason)
        body = {
            "type": f"{PREFIX}{self.name}", "title": HTTPStatus(self.status).phrase, "status": self.status,
            "detail": self.detail, **self.more,
        }  # fmt: skip
        if request := current.get().id:  # none if the headers could not be read
            body["request_id"] = request
        return Response(msgspec.json.encode(body), self.status, self.headers, MEDIA_TYPE)


def of(exc: Exception) -> Problem:
    """The problem that an exception stands for: by ``workers.errors``, as in the stages.

    So captions that are missing or damaged are no fault of the request that needs them, although no retry mends them.
    """
    if isinstance(exc, Problem):
        return exc
    if isinstance(exc, HTTPException):
        return Problem(_NAMES.get(exc.status_code, "bad-request"), str(exc.detail), headers=exc.headers)
    effect = consequences.of(exc)
    if effect.passes:
        told = (
            str(exc)
            if isinstance(exc, WildtagError)
            else "the gateway lacks memory, descriptors or room; see its log"
        )
        return Problem.later("unavailable", told, 2)
    for kind, name in _KINDS:
        if isinstance(exc, kind):
            return Problem(name, str(exc))
    if effect.consequence is Consequence.REFUSE:
        return Problem("bad-request", str(exc))
    return Problem("internal", "internal error; see the gateway's log")


def anonymous(exc: Exception) -> Problem:
    """The problem of an unavailable service for a caller who is not known: names no address."""
    return Problem.later("unavailable", f"{service_of(exc)} is unavailable", 2)


def service_of(exc: Exception) -> str:
    """The name of the service that an error is about; Redis, which has the keys, if it does not say."""
    return consequences.of(exc).service or getattr(exc, "service", None) or "redis"


def of_invalid(exc: RequestValidationError) -> Problem:
    """The problem of a request that does not match its specification; ``detail`` names the first faults."""
    errors = [{"where": ".".join(map(str, e["loc"])), "reason": _reason(e, exc.body)} for e in exc.errors()[:ERRORS]]
    return Problem("invalid", "; ".join(f"{e['where']}: {e['reason']}" for e in errors[:NAMED]), errors=errors)


def _reason(error: Mapping[str, Any], body: object) -> str:
    if error["loc"] == ("body",) and isinstance(body, bytes):  # the framework parses no other type
        return "a JSON body needs the header Content-Type: application/json"
    return "unknown field" if error["type"] == "extra_forbidden" else str(error["msg"]).removeprefix("Value error, ")


def install(app: FastAPI) -> None:
    """Make an application return all errors as problem documents."""

    async def wildtag(request: Request, exc: Exception) -> Response:
        # routes that need no key, such as signing in: their callers are told no address
        effect = consequences.of(exc)
        stranger = effect.passes and not isinstance(exc, Problem) and getattr(request.state, "caller", None) is None
        if effect.consequence is Consequence.BUG and isinstance(exc, Permanent):  # of another process
            log.error("request failed", method=request.method, path=shown(request.url.path), reason=str(exc))
        return (anonymous(exc) if stranger else of(exc)).response()

    async def refused(_: Request, exc: Exception) -> Response:
        assert isinstance(exc, HTTPException)  # noqa: S101 -- for mypy: the handler is registered for this class
        return of(exc).response()

    async def invalid(_: Request, exc: Exception) -> Response:
        assert isinstance(exc, RequestValidationError)  # noqa: S101 -- as above
        return of_invalid(exc).response()

    async def gone(_: Request, __: Exception) -> Response:
        return Response(status_code=400)  # the client is gone

    async def internal(request: Request, exc: Exception) -> Response:
        log.error("request failed", method=request.method, path=shown(request.url.path), exc_info=exc)
        response = of(exc).response()
        if made := current.get().id:  # outside of the middleware that adds it to other responses
            response.headers[HEADER] = made
        return response

    app.add_exception_handler(Problem, wildtag)
    app.add_exception_handler(Transient, wildtag)
    app.add_exception_handler(Permanent, wildtag)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(Exception, internal)
