"""Uploads through the gateway: ``POST /v1/images``.

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
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import anyio
import anyio.to_thread
import msgspec
from fastapi import APIRouter, Query, Request, Response

from tasks.message_parts import UserMetadata, place_of
from vectordb.errors import Transient
from workers.gateway import openapi, record_models, responses
from workers.gateway.access import Caller, needs
from workers.gateway.admission import Admission, Places
from workers.gateway.api_keys import Scope
from workers.gateway.bodies import Body, received
from workers.gateway.idempotency import AT_WORK_S, Stored
from workers.gateway.images import LONGEST_WAIT, Images
from workers.gateway.problems import Problem
from workers.gateway.progress_answers import answered
from workers.gateway.segments import SegmentationMethod, Segments, Wanted
from workers.gateway.services import Options, Services
from workers.gateway.upload_metadata import FIELDS, ClientId, FileName, Given, Metadata
from workers.gateway.upload_slots import Slot
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.progress import Progress
from workers.stores.store import ObjectInfo

KEEP_CLAIM_S = AT_WORK_S / 3
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


NO_SPACE_S = 30  # until somebody may have made room


class Uploads:
    """Receives images and stores them. ``images``: looks up their progress."""

    def __init__(
        self, services: Services, options: Options, images: Images, segments: Segments, admission: Admission
    ) -> None:
        self._services = services
        self._options = options
        self._images = images
        self.segments = segments
        self.suffixes = SUFFIXES | VIDEO_SUFFIXES if options.video else SUFFIXES
        self.admission = admission
        self._places = Places(options.uploads_max, "uploads")
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
        with self._places.place(caller):
            await self.require_space()
            await self.admission.admitted(caller, 1, method)
            body = await received(request, self._options.max_object_bytes, video=self._options.video, fields=FIELDS)
            key = request.headers.get("idempotency-key")
            wish = _Wish(method, given.with_form(body.form))
            return await (self._store(body, wish) if key is None else self._once(body, caller, key, wish))

    async def require_space(self) -> None:
        """Raise ``Problem`` if a disk is full or read-only: nothing more is accepted before it is too late."""
        if lacking := await self._services.free_space.looked():
            reason = "; ".join(f"{name}: {lack}" for name, lack in lacking.items())
            raise Problem.later("no-space", f"no space for uploads: {reason}", NO_SPACE_S)

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

    async def take_slot(self, request: Request, slot: Slot, use_up: Callable[[], Awaitable[bool]]) -> None:
        """Store the image of a request with the id of a slot and write its event. Raises ``Problem``.

        ``use_up``: tells whether the slot was still there, and removes it.
        """
        with self._places.place(Caller(slot.caller, Scope.WRITE)):
            await self.require_space()
            body = await received(request, slot.most, least=slot.least, video=self._options.video)
            if self.suffixes.get(body.content_type) != self.suffixes.get(slot.content_type):
                raise Problem("not-an-image", f"the image is {body.content_type}, not {slot.content_type}")
            if not await use_up():
                raise Problem("not-found", "this form has been used")
            await anyio.to_thread.run_sync(self._put, slot.id, body, _Wish(None, None), limiter=self._threads)

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
        self._images.own_metadata.note(f"{bucket}/{key}", info.ref.etag, info.user_metadata)
        try:
            self._services.inbox.append([ObjectEvent.seen(info)])
        except Transient:
            store.remove(bucket, key)  # the client gets the error and retries
            raise


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


def router(uploads: Uploads, images: Images) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["images"])

    @routes.post(
        "/v1/images", status_code=202, response_model=record_models.Progress, openapi_extra=openapi.IMAGE_BODY,
        operation_id="uploadImage", summary="Upload an image",
        responses=responses.problems(400, 408, 409, 413, 415, 422, 429, 501, 503, 507)
        | {200: {"model": record_models.Progress, "description": "The image was finished within `wait`."}},
    )  # fmt: skip
    @needs(Scope.WRITE)  # not a dependency, which would double the cost of this route
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
        given = Given(file_name, client_id, metadata)
        name = await uploads.take(request, request.state.caller, segment, given)
        oid = images.oid(name)
        bucket, key = place_of(oid)
        progress = Progress(bucket=bucket, key=key, etag="", state="queued")
        if wait:
            progress = await images.settled(oid, wait)
        else:
            progress = await anyio.to_thread.run_sync(images.own_metadata.described, progress)
        answer = answered(progress, name, status=200 if wait and progress.final else 202)
        answer.headers["Location"] = f"/v1/images/{name}"
        if not progress.final:
            answer.headers["Retry-After"] = "1"
        return answer

    return routes
