"""Uploads through the gateway: ``POST /v1/images``.

Images are stored first, then their events are written, then the response is sent. After a 202 the images are durable
and will be tagged. All files of a form are taken, or none is.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import anyio
import anyio.to_thread
import msgspec
from fastapi import APIRouter, Query, Request, Response

from tasks.message_parts import UserMetadata, place_of
from vectordb.errors import Transient
from workers.gateway import models, openapi, record_models, responses
from workers.gateway.access import Caller
from workers.gateway.admission import Admission, Places
from workers.gateway.api_keys import Scope
from workers.gateway.bodies import Body, received
from workers.gateway.body_memory import lease_of
from workers.gateway.form_files import FormSpace
from workers.gateway.free_space import NO_SPACE_S
from workers.gateway.idempotency import AT_WORK_S, Stored
from workers.gateway.images import LONGEST_WAIT, Images
from workers.gateway.problems import Problem
from workers.gateway.progress_answers import answered, answered_together
from workers.gateway.rate_limits import Kind
from workers.gateway.requirements import needs
from workers.gateway.segments import SegmentationMethod, Segments, Wanted
from workers.gateway.services import Options, Services
from workers.gateway.storing import StoredImage, Storing
from workers.gateway.upload_metadata import FIELDS, ClientId, FileName, Given, Metadata, named
from workers.gateway.upload_slots import Slot
from workers.lifecycle.progress import Progress

Complete = Callable[[], Awaitable[None]]
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


class Uploads:
    """Receives images and stores them. ``images``: looks up their progress."""

    def __init__(
        self,
        services: Services,
        options: Options,
        images: Images,
        segments: Segments,
        admission: Admission,
        charge: Callable[[Caller, int], None],
    ) -> None:
        """``charge``: counts the further images of a request for the limits on rates."""
        self._services = services
        self._options = options
        self._images = images
        self.segments = segments
        self.suffixes = SUFFIXES | VIDEO_SUFFIXES if options.video else SUFFIXES
        self.admission = admission
        self.storing = Storing(services, segments, options.bucket, images.own_metadata)
        self._charge = charge
        self._space = FormSpace(options.max_object_bytes)
        self._places = Places(options.uploads_max, "uploads")
        self._threads = anyio.CapacityLimiter(options.uploads_max)

    async def take(
        self, request: Request, caller: Caller, method: SegmentationMethod | None = None, given: Given | None = None
    ) -> list[str]:
        """Store the images of a request and write their events. Returns their ids, in the order of the request.

        ``method``: segment the images with this method. ``given``: what is stored beside them. Raises ``Problem``;
        then nothing is stored.
        """
        given = given or Given()
        given.with_form(None)  # before anything is read
        self.segments.check(method)
        limit, video, lease = self._options.max_object_bytes, self._options.video, lease_of(request)
        with (
            self._places.place(caller),
            self._space.files(lease.caller, lease, limit, video=video) as further,
        ):
            await self.require_space()
            await self.admission.admitted(caller, 1, method)
            body = await received(request, limit, video=video, fields=FIELDS, further=further)
            wish = _Wish(method, given.with_form(body.form))

            async def complete() -> None:
                given.check_one_name(1 + len(body.further))
                if body.further:
                    await self.admission.admitted(caller, len(body.further), method)
                    self._charge(caller, len(body.further))

            key = request.headers.get("idempotency-key")
            if key is not None:
                return await self._once(body, caller, key, wish, complete)
            return await self._store(body, wish, complete)

    async def require_space(self) -> None:
        """Raise ``Problem`` if a disk is full or read-only: nothing more is accepted before it is too late."""
        if lacking := await self._services.free_space.looked():
            reason = "; ".join(f"{name}: {lack}" for name, lack in lacking.items())
            raise Problem.later("no-space", f"no space for uploads: {reason}", NO_SPACE_S)

    async def _once(self, body: Body, caller: Caller, key: str, wish: _Wish, complete: Complete) -> list[str]:
        if not _KEY.fullmatch(key):
            raise Problem("bad-request", "the Idempotency-Key must have 1 to 200 visible ASCII characters")
        memory = self._services.idempotency
        body.hashed()
        began = await anyio.to_thread.run_sync(memory.begin, caller.name, key)
        if began == "at-work":
            raise Problem.later("conflict", "a request with this Idempotency-Key is in progress", 1)
        if isinstance(began, Stored):
            await body.drain()
            if wish.digest(body.digests) != began.digest:
                what = "other images, another order of them, another segmentation method, client_id or metadata"
                raise Problem("mismatch", f"this Idempotency-Key was used with {what}")
            return began.ids
        stored: Stored | None = None
        # not a task group, which would wrap the errors of the upload in a group
        keeping = asyncio.create_task(self._keep_claim(caller, key))
        try:
            names = await self._store(body, wish, complete)
            stored = Stored.of(names, wish.digest(body.digests))
            return names
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
            await self._put(body, _Wish(None, None), [slot.id], remove_later=False)  # the form may be sent again

    async def _store(self, body: Body, wish: _Wish, complete: Complete) -> list[str]:
        if body.whole:
            await complete()
        else:  # before the store gets the last byte, so a refusal leaves nothing
            body.on_complete = complete
        names: list[str] = []
        await self._put(body, wish, names)
        return names

    async def _put(self, body: Body, wish: _Wish, names: list[str], *, remove_later: bool = True) -> None:
        """Store all images of a body. ``names``: their ids; new ones are added. ``remove_later``: see ``Storing``."""

        def image(nth: int, file: Callable[[], Any], content_type: str, user: UserMetadata | None) -> StoredImage:
            if nth == len(names):
                names.append(new_id(self.suffixes.get(content_type, "")))
            return StoredImage(self._images.key(names[nth]), file, content_type, user)

        def images() -> Iterator[StoredImage]:
            yield image(0, body.file, body.content_type, wish.user_metadata)
            for nth, one in enumerate(body.further, 1):  # known when the first has been read to its end
                yield image(nth, one.file, one.content_type, named(wish.user_metadata, one.file_name))

        put = partial(self.storing.put, images(), wish.method, remove_later=remove_later)
        await anyio.to_thread.run_sync(put, limiter=self._threads)


@dataclass(frozen=True)
class _Wish:
    """What a client wants of its images besides their tags. ``user_metadata``: that of the first."""

    method: SegmentationMethod | None
    user_metadata: UserMetadata | None

    def digest(self, of_images: Sequence[str]) -> str:
        """The digest that repeated requests with one Idempotency-Key must share, whatever the files are called."""
        of_all = of_images[0] if len(of_images) == 1 else hashlib.sha256(" ".join(of_images).encode()).hexdigest()
        parts = [of_all] if self.method is None else [of_all, self.method]
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
        "/v1/images", status_code=202, response_model=record_models.Progress | models.Images,
        openapi_extra=openapi.IMAGE_BODY, operation_id="uploadImage", summary="Upload an image, or several",
        responses=responses.problems(400, 408, 409, 413, 415, 422, 429, 501, 503, 507)
        | {200: {"model": record_models.Progress | models.Images, "description": "All finished within `wait`."}},
    )  # fmt: skip
    @needs(Scope.WRITE, Kind.UPLOAD)  # not a dependency, which would double the cost of this route
    async def upload(
        request: Request,
        wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for the record.")] = 0.0,
        segment: Wanted = None,
        file_name: FileName = None,
        client_id: ClientId = None,
        metadata: Metadata = None,
    ) -> Response:
        """Store an image and tag it. The body is the image, or a form with one file or several.

        All files of a form are taken, each with an id of its own, or none is. With several the answer lists them in
        the order of the form. `segment`, `client_id` and `metadata` apply to each. `file_name`, `client_id` and
        `metadata` may also be fields of the form, before its first file.
        """
        given = Given(file_name, client_id, metadata)
        names = await uploads.take(request, request.state.caller, segment, given)
        until = time.monotonic() + wait

        async def progress_of(name: str) -> Progress:
            oid = images.oid(name)
            if wait:
                return await images.settled(oid, max(0.0, until - time.monotonic()))
            bucket, key = place_of(oid)
            queued = Progress(bucket=bucket, key=key, etag="", state="queued")
            return await anyio.to_thread.run_sync(images.own_metadata.described, queued)

        found = [await progress_of(name) for name in names]
        final = all(progress.final for progress in found)
        status = 200 if wait and final else 202
        if len(names) == 1:
            answer = answered(found[0], names[0], status=status)
            answer.headers["Location"] = f"/v1/images/{names[0]}"
        else:
            answer = answered_together(found, names, status=status)
        if not final:
            answer.headers["Retry-After"] = "1"
        return answer

    return routes
