"""Presigned uploads: a form that uploads one image of one type and a limited size, without an API key.

On an S3 server the form goes to the bucket (a POST policy). Where the store has no presigned forms, as a folder, it
goes to the gateway.
"""

from __future__ import annotations

from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from workers.gateway import models, openapi, responses
from workers.gateway.access import Access, Caller
from workers.gateway.api_keys import Scope
from workers.gateway.images import Images
from workers.gateway.problems import Problem
from workers.gateway.segments import SegmentationMethod
from workers.gateway.services import Options, Services
from workers.gateway.upload_slots import Slot
from workers.gateway.uploads import Uploads, new_id

LIFETIME_S = 3600


class UploadRequest(BaseModel, extra="forbid"):
    """The image that will be uploaded. `segment`: also segment it with this method."""

    content_type: str = "image/jpeg"
    size: Annotated[int, Field(ge=1, description="Its exact bytes. Default: any size up to the limit.")] | None = None
    segment: SegmentationMethod | None = None


def router(uploads: Uploads, images: Images, services: Services, options: Options, access: Access) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["images"])
    writing = [Depends(access.needing(Scope.WRITE))]
    slots = services.upload_slots

    @routes.post(
        "/v1/uploads", status_code=201, response_model=models.DirectUpload,
        operation_id="createUpload", summary="Get a form for a direct upload",
        responses=responses.problems(400, 408, 413, 415, 422, 429, 501, 503), dependencies=writing,
    )  # fmt: skip
    async def create(request: Request, wanted: UploadRequest) -> Any:
        """A presigned form to upload an image without an API key, to the object store if that is a server.

        The form is valid for an hour, for the type and the size that it was made for. Afterwards poll the id.
        """
        caller: Caller = request.state.caller
        suffix = uploads.suffixes.get(wanted.content_type)
        if suffix is None:
            raise Problem("not-an-image", f"supported content types: {', '.join(uploads.suffixes)}")
        most = options.max_object_bytes
        if wanted.size is not None and wanted.size > most:
            raise Problem("too-large", f"an image may have {most:,} bytes")
        uploads.segments.check(wanted.segment)
        await uploads.admission.admitted(caller, 1, wanted.segment)
        name, size = new_id(suffix), range(wanted.size or 1, (wanted.size or most) + 1)

        def form() -> tuple[str, dict[str, str]]:
            uploads.segments.request([images.oid(name)], wanted.segment)
            store: Any = services.store
            if hasattr(store, "upload_form"):
                made: tuple[str, dict[str, str]] = store.upload_form(
                    options.bucket, images.key(name), wanted.content_type, size, LIFETIME_S
                )
                return made
            token = slots.create(Slot(name, wanted.content_type, size.start, size.stop - 1, caller.name), LIFETIME_S)
            return f"{str(request.base_url).rstrip('/')}/v1/uploads/{token}", {}

        url, fields = await anyio.to_thread.run_sync(form)
        body = {
            "id": name, "url": url, "method": "POST", "fields": fields, "max_bytes": size.stop - 1,
            "expires_at": services.clock() + LIFETIME_S,
        }  # fmt: skip
        return responses.json(body, 201, {"Location": f"/v1/images/{name}"})

    @routes.post(
        "/v1/uploads/{token}", status_code=204, openapi_extra=openapi.FORM_BODY, operation_id="uploadByForm",
        summary="Upload an image by a presigned form", responses=responses.problems(400, 404, 408, 413, 415, 422, 429, 503),
    )  # fmt: skip
    async def take(request: Request, token: str) -> Response:
        """Store the image of a form that `POST /v1/uploads` made, once. Needs no API key."""
        slot = await anyio.to_thread.run_sync(slots.look_up, token)
        if slot is None:
            raise Problem("not-found", "no form has this address, or it has been used or has expired")

        used = False

        async def use_up() -> bool:
            nonlocal used
            used = await anyio.to_thread.run_sync(slots.use_up, token)
            return used

        try:
            await uploads.take_slot(request, slot, use_up)
        except Exception:
            if used:  # nothing is stored, so the form may be sent again
                await anyio.to_thread.run_sync(slots.put_back, token, slot, LIFETIME_S)
            raise
        return Response(status_code=204, headers={"Location": f"/v1/images/{slot.id}"})

    return routes
