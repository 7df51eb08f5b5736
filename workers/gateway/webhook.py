"""``POST /v1/events/minio``: what a MinIO server tells of its bucket.

It answers 2xx only when what was told is in Redis. That holds for junk as well, which is set
aside with its reason: servers that keep events in a folder send the same one again until it is accepted, and would
never get past it. 503 means that nothing is certain and the event must come again.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

import structlog
from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from vectordb.errors import Transient
from workers.events.notification import LARGEST, Notification, webhook
from workers.events.sink import received_events
from workers.gateway.batching_writer import BatchingWriter
from workers.gateway.problems import Problem
from workers.gateway.problems import of as problem_of

log = structlog.get_logger()

SOURCE = "webhook"


Route = Callable[[Request], Awaitable[Response]]


def webhook_route(batching_writer: BatchingWriter, *, bucket: str, token: str | None, open_: bool) -> Route:
    """What answers notifications: stores through ``batching_writer`` what is told of ``bucket``.

    Without a ``token`` everybody who reaches it may tell of events where it is ``open_``, and nobody where it is not.
    """

    async def minio(request: Request) -> Response:
        refused = _refused(request, token, open_=open_)
        if refused is not None:
            return refused
        try:
            body, size = await _body(request)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        told = webhook(body, bucket) if size <= LARGEST else Notification(rejected=(f"larger than {LARGEST} bytes",))
        if told.rejected:
            log.warning("notification set aside", reason=told.rejected[0], size=size)
        try:
            await batching_writer.put(received_events(SOURCE, told, body, size), len(body))
        except Transient as exc:
            return problem_of(exc).response()
        return Response(status_code=202 if told.rejected else 200)

    return minio


def _refused(request: Request, token: str | None, *, open_: bool) -> Response | None:
    """Why this request is not listened to, ``None`` when it is."""
    if token is None and open_:
        # a page in somebody's browser may reach the loopback address; browsers say where such a request comes from
        alien = "origin" in request.headers
        return Problem("forbidden", "pages may not tell of events").response() if alien else None
    shown = request.headers.get("authorization", "").encode("latin-1")
    if token is not None and hmac.compare_digest(shown, f"Bearer {token}".encode()):
        return None
    refused = Problem("unauthorized", "the webhook's token is needed", headers={"WWW-Authenticate": "Bearer"})
    return refused.response()


async def _body(request: Request) -> tuple[bytes, int]:
    """The body and its size; of one that is too large the beginning only, and the size that is known by then.

    The server drops what is still to come of it: to hang up would look like a failure, and it would come again.
    """
    announced = request.headers.get("content-length", "")
    size = int(announced) if announced.isdecimal() else 0
    if size > LARGEST:
        return b"", size
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            return bytes(body[:LARGEST]), max(size, len(body))
    return bytes(body), len(body)
