"""Errors as problem documents (RFC 9457). ``type`` is stable: programs decide by it; ``detail`` is for people.

======================  ======  =============================================================================
type, after the prefix  status  when
======================  ======  =============================================================================
bad-request             400     the request cannot be read: a header, a cursor, a body that ends too early
bad-key                 400     the address holds a key that is not UTF-8
unauthorized            401     a key is needed, or the one that was shown is none
forbidden               403     the key's scope is not enough, another site's page asked, or the store refuses
not-found               404     there is no such image, object, batch, caption or address
method-not-allowed      405     the address has other methods
timeout                 408     the body came too slowly
conflict                409     a request with this Idempotency-Key is at work
too-large               413     more bytes than are taken
not-an-image            415     the first bytes are of no image that is read
mismatch                422     the Idempotency-Key was used with another body
invalid                 422     a parameter or field is not as the specification says; ``errors`` lists them
too-many                429     more at once, or in a second, than one is allowed; see ``Retry-After``
internal                500     a fault of wildtag, which its log explains
unsupported             501     this deployment cannot do it; ``detail`` says what could
unavailable             503     something behind the gateway is away; see ``Retry-After``
busy                    503     so much waits that nothing more is accepted; see ``Retry-After``
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

from vectordb.errors import Permanent, Transient
from workers.stores.store import ObjectForbidden, ObjectGone, ObjectTooLarge

log = structlog.get_logger()

PREFIX = "urn:wildtag:problem:"
MEDIA_TYPE = "application/problem+json"
_STATUS = {
    "bad-request": 400, "bad-key": 400, "unauthorized": 401, "forbidden": 403, "not-found": 404,
    "method-not-allowed": 405, "timeout": 408, "conflict": 409, "too-large": 413, "not-an-image": 415,
    "mismatch": 422, "invalid": 422, "too-many": 429, "internal": 500, "unsupported": 501, "unavailable": 503,
    "busy": 503,
}  # fmt: skip
_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (ObjectGone, "not-found"), (ObjectTooLarge, "too-large"), (ObjectForbidden, "forbidden"),
    (Permanent, "bad-request"),
)  # fmt: skip
# of what the framework and the guards refuse
_NAMES = {404: "not-found", 405: "method-not-allowed", 408: "timeout", 413: "too-large"}


class Problem(Exception):
    """Ends a request with a problem document. ``name`` is one of the table above."""

    def __init__(self, name: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.name = name
        self.status = _STATUS[name]
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more

    @classmethod
    def later(cls, name: str, detail: str, seconds: int) -> Problem:
        """One that passes: when to come again."""
        return cls(name, detail, headers={"Retry-After": str(seconds)})

    def response(self) -> Response:
        """The document, with its status and headers."""
        body = {
            "type": f"{PREFIX}{self.name}", "title": HTTPStatus(self.status).phrase, "status": self.status,
            "detail": self.detail, **self.more,
        }  # fmt: skip
        return Response(msgspec.json.encode(body), self.status, self.headers, MEDIA_TYPE)


def of(exc: Exception) -> Problem:
    """What an error is to whoever asked."""
    if isinstance(exc, Problem):
        return exc
    if isinstance(exc, Transient):
        return Problem.later("unavailable", str(exc), 2)
    for kind, name in _KINDS:
        if isinstance(exc, kind):
            return Problem(name, str(exc))
    return Problem("internal", "something went wrong here; the gateway's log says what")


def install(app: FastAPI) -> None:
    """Have an application answer all errors so."""

    async def wildtag(_: Request, exc: Exception) -> Response:
        return of(exc).response()

    async def refused(_: Request, exc: Exception) -> Response:
        assert isinstance(exc, HTTPException)  # noqa: S101 -- for the types: it is registered for these alone
        name = _NAMES.get(exc.status_code, "bad-request")
        return Problem(name, str(exc.detail), headers=exc.headers).response()

    async def invalid(_: Request, exc: Exception) -> Response:
        assert isinstance(exc, RequestValidationError)  # noqa: S101 -- as above
        errors = [{"where": ".".join(map(str, e["loc"])), "reason": e["msg"]} for e in exc.errors()]
        return Problem("invalid", "the request is not as the specification says", errors=errors).response()

    async def gone(_: Request, __: Exception) -> Response:
        return Response(status_code=400)  # nobody is there to read it

    async def internal(request: Request, exc: Exception) -> Response:
        log.error("request failed", method=request.method, path=request.url.path, exc_info=exc)
        return of(exc).response()

    app.add_exception_handler(Problem, wildtag)
    app.add_exception_handler(Transient, wildtag)
    app.add_exception_handler(Permanent, wildtag)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(Exception, internal)
