"""Uploads: ``POST /v1/images`` through the gateway, ``POST /v1/uploads`` directly to the object store.

An image is stored first, then its event is written, then the response is sent. After a 202 the image is durable and
will be tagged.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import anyio
import anyio.to_thread
import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from tasks.message_parts import UserMetadata, place_of
from vectordb.errors import Transient
from workers.gateway import models, openapi, record_models, responses
from workers.gateway.access import Access, Caller
from workers.gateway.api_keys import Scope
from workers.gateway.bodies import Body, received
from workers.gateway.idempotency import AT_WORK_S, Stored
from workers.gateway.images import LONGEST_WAIT, Images, answered
from workers.gateway.problems import Problem
from workers.gateway.segments import SegmentationMethod, Segments, Wanted
from workers.gateway.services import Options, Services
from workers.gateway.upload_metadata import FIELDS, ClientId, FileName, Given, Metadata
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.progress import Progress
from workers.segmentation.requests import NONE
from workers.stores.store import ObjectInfo

URL_LIFETIME_S = 3600
KEEP_CLAIM_S = AT_WORK_S / 3
BACKLOG_EVERY_S = 0.25  # maximum age of the queue length
_KEY = re.compile(r"[!-~]{1,200}")
SUFFIXES = {
    "image/avif": ".avif", "image/bmp": ".bmp", "image/gif": ".gif", "image/jp2": ".jp2", "image/jpeg": ".jpg",
    "image/png": ".png", "image/tiff": ".tif", "image/webp": ".webp", "image/x-icon": ".ico",
    "image/x-portable-anymap": ".ppm", "image/heic": ".heic", "image/heif": ".heif", "image/jxl": ".jxl",
    "image/x-raw": ".raw",
}  # fmt: skip
VIDEO_SUFFIXES = {
    "video/mp4": ".mp4", "video/quicktime": ".mov", "video/x-msvideo": ".avi", "video/x-matroska": ".mkv",
    "video/webm": ".webm", "video/mpeg": ".mpg", "video/mp2t": ".m2ts", "video/x-flv": ".flv",
    "video/x-ms-asf": ".wmv",
}  # fmt: skip


class UploadRequest(BaseModel, extra="forbid"):
    """The image that will be uploaded. `segment`: also segment it with this method."""

    content_type: str = "image/jpeg"
    segment: SegmentationMethod | None = None


class Uploads:
    """Receives images and stores them. ``images``: looks up their progress."""

    def __init__(self, services: Services, options: Options, images: Images, segments: Segments) -> None:
        self._services = services
        self._options = options
        self._images = images
        self.segments = segments
        self.suffixes = SUFFIXES | VIDEO_SUFFIXES if options.video else SUFFIXES
        self._at_once = 0
        self._waiting = (0, -1.0)
        self._threads = anyio.CapacityLimiter(options.uploads_max)

    async def take(
        self, request: Request, caller: Caller, method: SegmentationMethod | None = None, given: Given | None = None
    ) -> str:
        """Store the image of a request and write its event. Returns its id.

        ``method``: segment the image with this method. ``given``: what is stored beside it. Raises ``Problem``; then
        nothing is stored.
        """
        given = given or Given()
        given.with_form(None)  # before anything is read
        self.segments.check(method)
        async with self._place():
            await self.check_capacity(method)
            body = await received(request, self._options.max_object_bytes, video=self._options.video, fields=FIELDS)
            key = request.headers.get("idempotency-key")
            wish = _Wish(method, given.with_form(body.form))
            return await (self._store(body, wish) if key is None else self._once(body, caller, key, wish))

    async def _once(self, body: Body, caller: Caller, key: str, wish: _Wish) -> str:
        if not _KEY.fullmatch(key):
            raise Problem("bad-request", "the Idempotency-Key must have 1 to 200 visible ASCII characters")
        memory = self._services.idempotency
        body.hashed()
        began = await anyio.to_thread.run_sync(memory.begin, caller.name, key)
        if began == "at-work":
            raise Problem.later("conflict", "a request with this Idempotency-Key is in progress", 1)
        if isinstance(began, Stored):
            if wish.digest(await body.drain()) != began.digest:
                what = "another image, segmentation method, client_id or metadata"
                raise Problem("mismatch", f"this Idempotency-Key was used with {what}")
            return began.id
        stored: Stored | None = None
        # not a task group, which would wrap the errors of the upload in a group
        keeping = asyncio.create_task(self._keep_claim(caller, key))
        try:
            name = await self._store(body, wish)
            stored = Stored(name, wish.digest(body.digest))
            return name
        finally:
            keeping.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.gather(keeping, return_exceptions=True)
                await anyio.to_thread.run_sync(memory.end, caller.name, key, stored)

    async def _keep_claim(self, caller: Caller, key: str) -> None:
        while True:
            await asyncio.sleep(KEEP_CLAIM_S)
            with contextlib.suppress(Transient):  # the claim may outlast the outage
                await anyio.to_thread.run_sync(self._services.idempotency.go_on, caller.name, key)

    async def _store(self, body: Body, wish: _Wish) -> str:
        name = new_id(self.suffixes.get(body.content_type, ""))
        await anyio.to_thread.run_sync(self._put, name, body, wish, limiter=self._threads)
        return name

    def _put(self, name: str, body: Body, wish: _Wish) -> None:
        bucket, key = self._options.bucket, self._images.key(name)
        store = self._services.store
        self.segments.request([f"{bucket}/{key}"], wish.method)  # before the watcher can see the object
        file: Any = body.file()  # has read()
        info: ObjectInfo = store.put(bucket, key, file, body.content_type, wish.user_metadata)
        try:
            self._services.inbox.append([ObjectEvent.seen(info)])
        except Transient:
            store.remove(bucket, key)  # the client gets the error and retries
            raise

    async def check_capacity(self, method: SegmentationMethod | None = None) -> None:
        """Raises ``Problem`` if the queue is full.

        ``method``: the requested segmentation method; if there is one, the segmentation queue counts as well.
        """
        if method not in {None, NONE}:
            waiting = await anyio.to_thread.run_sync(lambda: self._services.progress.waiting(segmented=True))
            self._check(waiting, "images are waiting for segmentation")
        waiting, then = self._waiting
        now = time.monotonic()
        if now - then > BACKLOG_EVERY_S:
            waiting = await anyio.to_thread.run_sync(self._services.progress.waiting)
            self._waiting = waiting, now
        self._check(waiting, "images are waiting")

    def _check(self, waiting: int, what: str) -> None:
        if waiting >= self._options.backlog_max:
            raise Problem.later("busy", f"{waiting:,} {what}; try again later", 10)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._at_once >= self._options.uploads_max:
            raise Problem.later("too-many", f"{self._at_once} uploads are in progress, which is the limit", 1)
        self._at_once += 1
        try:
            yield
        finally:
            self._at_once -= 1


@dataclass(frozen=True)
class _Wish:
    """What a client wants of an image besides its tags."""

    method: SegmentationMethod | None
    user_metadata: UserMetadata | None

    def digest(self, of_body: str) -> str:
        """The digest that repeated requests with one Idempotency-Key must share, whatever the file is called."""
        parts = [of_body] if self.method is None else [of_body, self.method]
        if (user := self.user_metadata) is not None and (user.client_id or user.values):
            parts.append(hashlib.sha256(msgspec.json.encode((user.client_id, user.values))).hexdigest())
        return " ".join(parts)


def new_id(suffix: str) -> str:
    """A random id for an image; ids sort by time."""
    return f"{int(time.time() * 1000):012x}{secrets.token_hex(10)}{suffix}"


def router(uploads: Uploads, images: Images, services: Services, options: Options, access: Access) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["images"])
    writing = [Depends(access.needing(Scope.WRITE))]

    @routes.post(
        "/v1/images", status_code=202, response_model=record_models.Progress, openapi_extra=openapi.IMAGE_BODY,
        operation_id="uploadImage", summary="Upload an image",
        responses=responses.problems(400, 408, 409, 413, 415, 422, 429, 501, 503)
        | {200: {"model": record_models.Progress, "description": "The image was finished within `wait`."}},
    )  # fmt: skip
    async def upload(
        request: Request,
        wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for the record.")] = 0.0,
        segment: Wanted = None,
        file_name: FileName = None,
        client_id: ClientId = None,
        metadata: Metadata = None,
    ) -> Response:
        """Store an image and tag it. The body is the image, or a form whose first file is the image.

        `file_name`, `client_id` and `metadata` may also be fields of the form, before the file.
        """
        # not dependencies, which would double the cost of this route
        given = Given(file_name, client_id, metadata)
        name = await uploads.take(request, await access.caller(request, Scope.WRITE), segment, given)
        oid = images.oid(name)
        bucket, key = place_of(oid)
        progress = Progress(bucket=bucket, key=key, etag="", state="queued")
        if wait:
            progress = await images.settled(oid, wait)
        answer = answered(progress, name, status=200 if wait and progress.final else 202)
        answer.headers["Location"] = f"/v1/images/{name}"
        if not progress.final:
            answer.headers["Retry-After"] = "1"
        return answer

    @routes.post(
        "/v1/uploads", status_code=201, response_model=models.DirectUpload,
        operation_id="createUpload", summary="Get a URL for a direct upload",
        responses=responses.problems(400, 408, 413, 415, 422, 429, 501, 503), dependencies=writing,
    )  # fmt: skip
    async def direct(wanted: UploadRequest) -> Any:
        """A presigned URL to PUT an image directly into the object store. Afterwards poll the id."""
        await uploads.check_capacity()
        store: Any = services.store
        if not hasattr(store, "upload_url"):
            raise Problem("unsupported", "the bucket is a folder, which has no upload URLs; use POST /v1/images")
        suffix = uploads.suffixes.get(wanted.content_type)
        if suffix is None:
            raise Problem("not-an-image", f"supported content types: {', '.join(uploads.suffixes)}")
        name = new_id(suffix)
        uploads.segments.check(wanted.segment)
        await anyio.to_thread.run_sync(uploads.segments.request, [images.oid(name)], wanted.segment)
        url = store.upload_url(options.bucket, images.key(name), URL_LIFETIME_S)
        body = {
            "id": name, "url": url, "method": "PUT", "headers": {"Content-Type": wanted.content_type},
            "expires_at": services.clock() + URL_LIFETIME_S,
        }  # fmt: skip
        return Response(msgspec.json.encode(body), 201, {"Location": f"/v1/images/{name}"}, "application/json")

    return routes
