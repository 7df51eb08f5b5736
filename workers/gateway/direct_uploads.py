"""Presigned uploads: a form that uploads one image of one type and a limited size, without an API key.

On an S3 server the form goes to the bucket (a POST policy). Where the store has no presigned forms, as a folder, it
goes to the gateway.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from workers.gateway import models, openapi, responses
from workers.gateway.access import Access, Caller
from workers.gateway.api_keys import Scope
from workers.gateway.images import Images
from workers.gateway.problems import Problem
from workers.gateway.rate_limits import Kind, RateLimits, client_of
from workers.gateway.segments import SegmentationMethod
from workers.gateway.services import Options, Services
from workers.gateway.upload_slots import Slot
from workers.gateway.uploads import Uploads, new_id
from workers.lifecycle.times import rfc3339

LIFETIME_S = 3600


class UploadRequest(BaseModel, extra="forbid"):
    """The image that will be uploaded. `segment`: also segment it with this method."""

    content_type: str = "image/jpeg"
    size: Annotated[int, Field(ge=1, description="Its exact bytes. Default: any size up to the limit.")] | None = None
    segment: SegmentationMethod | None = None


class Forms:
    """Creates presigned forms, and takes those that go to the gateway."""

    def __init__(
        self, uploads: Uploads, images: Images, services: Services, options: Options, limits: RateLimits
    ) -> None:
        self._uploads = uploads
        self._limits = limits
        self._images = images
        self._slots = services.upload_slots
        self._store: Any = services.store
        self._clock = services.clock
        self._options = options

    async def create(self, request: Request, wanted: UploadRequest) -> tuple[str, dict[str, Any]]:
        """The id of the image and the form, as the ``DirectUpload`` schema. Raises ``Problem``."""
        uploads, most = self._uploads, self._options.max_object_bytes
        suffix = uploads.suffixes.get(wanted.content_type)
        if suffix is None:
            raise Problem("not-an-image", f"supported content types: {', '.join(uploads.suffixes)}")
        if wanted.size is not None and wanted.size > most:
            raise Problem("too-large", f"an image may have {most:,} bytes")
        uploads.segments.check(wanted.segment)
        caller: Caller = request.state.caller
        await uploads.require_space()
        await uploads.admission.admitted(caller, 1, wanted.segment)
        name, size = new_id(suffix), range(wanted.size or 1, (wanted.size or most) + 1)
        base = str(request.base_url).rstrip("/") + self._options.root_path
        expires_at = self._clock() + LIFETIME_S
        url, fields = await anyio.to_thread.run_sync(self._form, name, wanted, size, caller, base, expires_at)
        return name, {
            "id": name, "url": url, "method": "POST", "fields": fields, "max_bytes": size.stop - 1,
            "expires_at": rfc3339(expires_at),
        }  # fmt: skip

    def _form(
        self, name: str, wanted: UploadRequest, size: range, caller: Caller, base: str, expires_at: float
    ) -> tuple[str, dict[str, str]]:
        self._uploads.segments.request([self._images.oid(name)], wanted.segment)
        if hasattr(self._store, "upload_form"):
            bucket, key = self._options.bucket, self._images.key(name)
            made: tuple[str, dict[str, str]] = self._store.upload_form(
                bucket, key, wanted.content_type, size, LIFETIME_S
            )
            return made
        slot = Slot(name, wanted.content_type, size.start, size.stop - 1, caller.name, expires_at)
        return f"{base}/v1/uploads/{self._slots.create(slot)}", {}

    async def upload(self, request: Request, token: str) -> Slot:
        """Store the image of a form. Raises ``Problem``."""
        address, shown = client_of(request.scope), hashlib.sha256(token.encode()).digest()
        self._limits.check_guess(address, shown)
        slot = await anyio.to_thread.run_sync(self._slots.look_up, token)
        if slot is None:
            self._limits.guessed(address, shown)
            raise Problem("not-found", "no form has this address, or it has been used or has expired")
        used = False

        async def use_up() -> bool:
            nonlocal used
            used = await anyio.to_thread.run_sync(self._slots.use_up, token)
            return used

        try:
            await self._uploads.take_slot(request, slot, use_up)
        except Exception:
            if used:  # nothing is stored, so the form may be sent again
                await anyio.to_thread.run_sync(self._slots.put_back, token, slot)
            raise
        return slot


def router(uploads: Uploads, images: Images, services: Services, options: Options, access: Access) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["images"])
    writing = [Depends(access.needing(Scope.WRITE, Kind.UPLOAD))]
    forms = Forms(uploads, images, services, options, access.limits)

    @routes.post(
        "/v1/uploads", status_code=201, response_model=models.DirectUpload,
        operation_id="createUpload", summary="Get a form for a direct upload",
        responses=responses.problems(400, 408, 413, 415, 422, 429, 501, 503, 507), dependencies=writing,
    )  # fmt: skip
    async def create(request: Request, wanted: UploadRequest) -> Any:
        """A presigned form to upload an image without an API key, to the object store if that is a server.

        The form is valid for an hour, for the type and the size that it was made for. Afterwards poll the id.
        """
        name, body = await forms.create(request, wanted)
        return responses.json(body, 201, {"Location": f"/v1/images/{name}"})

    @routes.post(
        "/v1/uploads/{token}", status_code=204, openapi_extra=openapi.FORM_BODY, operation_id="uploadByForm",
        summary="Upload an image by a presigned form",
        responses=responses.problems(400, 404, 408, 413, 415, 422, 429, 503, 507),
    )  # fmt: skip
    async def take(request: Request, token: str) -> Response:
        """Store the image of a form that `POST /v1/uploads` made, once. Needs no API key."""
        slot = await forms.upload(request, token)
        return Response(status_code=204, headers={"Location": f"/v1/images/{slot.id}"})

    return routes
