"""The gateway's routes.

``POST /v1/events/minio`` answers 2xx only when what was told is in Redis. That holds for junk as well, which is set
aside with its reason: servers that keep events in a folder send the same one again until it is accepted, and would
never get past it. 503 means that nothing is certain and the event must come again.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from vectordb.errors import Transient
from workers.events.notification import LARGEST, Told, webhook
from workers.events.reception import deposit
from workers.gateway.mailbox import Mailbox

log = structlog.get_logger()

SOURCE = "webhook"


def create_app(mailbox: Mailbox, *, bucket: str, token: str | None) -> FastAPI:
    """An application that stores through ``mailbox`` what is told of ``bucket``.

    Without a ``token`` everybody who reaches it may tell of events: it must not be reachable from outside then.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await mailbox.close()

    async def minio(request: Request) -> Response:
        refused = _refused(request, token)
        if refused is not None:
            return refused
        try:
            body, size = await _body(request)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        told = webhook(body, bucket) if size <= LARGEST else Told(junk=(f"larger than {LARGEST} bytes",))
        if told.junk:
            log.warning("notification set aside", reason=told.junk[0], size=size)
        try:
            await mailbox.put(deposit(SOURCE, told, body, size), len(body))
        except Transient as exc:
            return _away(exc)
        return Response(status_code=202 if told.junk else 200)

    async def ready() -> Response:
        try:
            await mailbox.reachable()
        except Transient as exc:
            return _away(exc)
        return Response("ready\n", media_type="text/plain")

    app = FastAPI(title="wildtag", lifespan=lifespan, openapi_url=None)
    # a plain route: FastAPI's own would look for parameters in each of a thousand requests a second and find none
    app.add_route("/v1/events/minio", minio, methods=["POST"])
    app.add_api_route("/healthz", lambda: Response("alive\n", media_type="text/plain"), response_class=Response)
    app.add_api_route("/readyz", ready, response_class=Response)
    return app


def _refused(request: Request, token: str | None) -> Response | None:
    """Why this request is not listened to, ``None`` when it is."""
    if token is None:
        # a page in somebody's browser may reach the loopback address; browsers say where such a request comes from
        return Response(status_code=403) if "origin" in request.headers else None
    shown = request.headers.get("authorization", "").encode("latin-1")
    if hmac.compare_digest(shown, f"Bearer {token}".encode()):
        return None
    return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})


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


def _away(exc: Transient) -> Response:
    return Response(f"{exc}\n", status_code=503, media_type="text/plain", headers={"Retry-After": "1"})
