"""``POST /v1/events/minio``: receives MinIO's bucket notifications.

Responds with 2xx only after the events are in Redis. Rejected events are stored with their reason and also accepted:
a server with an event queue sends the first event until it is accepted, and would be blocked by it. 503 means that
the events may not be stored and must be sent again.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog
from fastapi import Request, Response
from msgspec.structs import replace
from starlette.requests import ClientDisconnect

from vectordb.errors import Transient
from workers.events.notification import LARGEST, too_large, webhook
from workers.events.sink import received_events
from workers.gateway.batching_writer import BatchingWriter
from workers.gateway.behind_proxy import through_proxy
from workers.gateway.body_memory import lease_of
from workers.gateway.origins import of_this_request
from workers.gateway.problems import Problem
from workers.gateway.problems import of as problem_of
from workers.gateway.rate_limits import RateLimits, client_of

log = structlog.get_logger()

SOURCE = "webhook"


Route = Callable[[Request], Awaitable[Response]]


def webhook_route(
    batching_writer: BatchingWriter, *, bucket: str, tokens: Sequence[str], open_: bool, limits: RateLimits
) -> Route:
    """The route, which stores the events of ``bucket`` through ``batching_writer``.

    ``tokens``: each is accepted; others are guesses for the ``limits``. Without any, requests are
    accepted if the gateway is ``open_``.
    """

    async def minio(request: Request) -> Response:
        refused = _refused(request, tokens, limits, open_=open_)
        if refused is not None:
            return refused
        try:
            began = time.time()
            body, size = await _body(request)
        except ClientDisconnect:
            return Response(status_code=400)  # the sender is gone
        except Problem as exc:  # the memory for bodies is in use
            return exc.response()
        notification = webhook(body, bucket) if size <= LARGEST else too_large()
        if notification.events:
            events = tuple(of_this_request(notification.events, began))
            notification = replace(notification, events=events)
        if notification.rejected:
            log.warning("notification rejected", reason=notification.rejected[0], size=size)
        try:
            await batching_writer.put(received_events(SOURCE, notification, body, size), len(body))
        except Transient as exc:
            return problem_of(exc).response()
        return Response(status_code=202 if notification.rejected else 200)

    return minio


def _refused(request: Request, tokens: Sequence[str], limits: RateLimits, *, open_: bool) -> Response | None:
    """The error response for a request without access; ``None`` if it has access."""
    if not tokens and open_:
        # pages in a user's browser can reach the loopback address; browsers send Origin with such requests
        if "origin" in request.headers:
            return Problem("forbidden", "pages are not allowed to send events").response()
        if through_proxy(request) is None:
            return None
    shown = _shown(request.headers.get("authorization", ""))
    if any(hmac.compare_digest(shown, token.encode()) for token in tokens):
        return None
    if shown:  # a right token is always accepted, whatever else comes from its address
        address, digest = client_of(request.scope), hashlib.sha256(shown).digest()
        try:
            limits.check_guess(address, digest)
        except Problem as exc:
            return exc.response()
        limits.guessed(address, digest)
    schemes = 'Bearer, Basic realm="wildtag"'
    refused = Problem("unauthorized", "the webhook token is required", headers={"WWW-Authenticate": schemes})
    return refused.response()


def _shown(authorization: str) -> bytes:
    """The token of a request: that of ``Bearer``, or the password of ``Basic``, as Amazon SNS can send only this."""
    scheme, _, shown = authorization.partition(" ")
    if scheme == "Bearer":
        return shown.encode("latin-1")
    if scheme.lower() == "basic":
        with contextlib.suppress(ValueError):
            return base64.b64decode(shown, validate=True).partition(b":")[2]
    return b""


async def _body(request: Request) -> tuple[bytes, int]:
    """The body and its size. A body that is too large is cut, with the size that is known by then.

    The server reads and discards the rest: closing the connection would look like a failure, and MinIO would retry.
    """
    announced = request.headers.get("content-length", "")
    size = int(announced) if announced.isdecimal() else 0
    if size > LARGEST:
        return b"", size
    body = bytearray()
    lease = lease_of(request)
    async for chunk in request.stream():
        lease.grow(len(chunk))
        body += chunk
        if len(body) > LARGEST:
            return bytes(body[:LARGEST]), max(size, len(body))
    return bytes(body), len(body)
