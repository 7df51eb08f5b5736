"""The routes that request segmentations and serve their artifacts."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal
from urllib.parse import quote

import anyio.to_thread
from fastapi import APIRouter, Depends, Query, Request, Response

from workers.gateway import record_models, responses
from workers.gateway.access import Access
from workers.gateway.api_keys import Scope
from workers.gateway.images import Images, Match
from workers.gateway.problems import Problem
from workers.gateway.progress_answers import answered_again, matches
from workers.gateway.services import Options, Services
from workers.lifecycle.record import ArtifactKeys
from workers.segmentation.requests import NONE

SegmentationMethod = Literal["dense", "regions", "prompted", "none"]
Wanted = Annotated[
    SegmentationMethod | None,
    Query(description="Also segment the image with this method. `none`: do not, whatever the settings say."),
]
Method = Annotated[
    SegmentationMethod,
    Query(description="The segmentation method. `none`: tag the object again without a segmentation."),
]


class Segments:
    """Stores segmentation requests and finds artifacts. Blocks."""

    def __init__(self, services: Services, options: Options) -> None:
        self._services = services
        self._methods = options.segmentation_methods

    def check(self, method: SegmentationMethod | None) -> None:
        """Raises ``Problem`` for a method that this deployment does not have."""
        if method is not None and method not in (*self._methods, NONE):
            known = ", ".join(self._methods)
            raise Problem("unsupported", f"the method {method!r} is not available here; available methods: {known}")

    def request(self, oids: list[str], method: SegmentationMethod | None) -> None:
        """Request a segmentation of the objects. Append their events after this."""
        if method is not None:
            self._services.segmentation_requests.ask(oids, method)

    def artifact(self, oid: str, name: Literal["label_map", "overlay"]) -> tuple[str, str]:
        """The key and the ETag of an artifact. Raises ``Problem`` if there is none."""
        (record,) = self._services.records.get([oid])
        artifacts: ArtifactKeys | None = record.segmentation.artifacts if record and record.segmentation else None
        if record is None or artifacts is None:
            raise Problem("not-found", "the object has no segmentation")
        version = f"{record.etag} {record.segmentation_method} {record.finished_at}"
        key = artifacts.label_map if name == "label_map" else artifacts.overlay
        return key, f'"{hashlib.sha256(version.encode()).hexdigest()[:16]}"'


def router(segments: Segments, images: Images, services: Services, options: Options, access: Access) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["segmentation"])
    reading, writing = [Depends(access.needing(Scope.READ))], [Depends(access.needing(Scope.WRITE))]
    usual = responses.problems(400, 404, 422, 429, 501, 503)
    asked: Any = {
        "status_code": 202, "response_model": record_models.Progress, "responses": usual,
        "dependencies": writing,
    }  # fmt: skip

    def segmented(request: Request, oid: str, address: str, name: str | None, method: SegmentationMethod) -> Response:
        segments.check(method)
        # an object in progress gets the request at once
        again = images.again(oid, request.state.caller, only_final=True, method=method)
        return answered_again(again, name, address)

    @routes.post("/v1/images/{id}:segment", **asked, operation_id="segmentImage", summary="Segment an uploaded image")
    def segment_image(request: Request, id: str, method: Method = "dense") -> Response:  # noqa: A002
        """Segment an uploaded image. `Location` is the URL to wait for the new record."""
        return segmented(request, images.oid(id), f"/v1/images/{id}", id, method)

    @routes.post(
        "/v1/objects/{bucket}/{key:path}:segment", **asked, operation_id="segmentObject", summary="Segment an object"
    )
    def segment_object(request: Request, bucket: str, key: str, method: Method = "dense") -> Response:
        """Segment an object. `Location` is the URL to wait for the new record."""
        oid = images.found(bucket, key)
        return segmented(request, oid, quote(f"/v1/objects/{bucket}/{key}"), images.id(key), method)

    async def shown(oid: str, name: Literal["label_map", "overlay"], kind: str, match: str | None) -> Response:
        key, tag = await anyio.to_thread.run_sync(segments.artifact, oid, name)
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if match is not None and matches(match, tag):
            return Response(status_code=304, headers=headers)
        data, _ = await anyio.to_thread.run_sync(services.store.get, options.bucket, key, options.max_object_bytes)
        return Response(data, 200, headers, kind)

    def artifact(kind: str) -> Any:
        found = responses.problems(400, 404, 413, 422, 429, 503) | responses.image(kind)
        return {
            "response_class": Response, "dependencies": reading, "responses": found | responses.NOT_MODIFIED,
        }  # fmt: skip

    @routes.get("/v1/label-maps/{bucket}/{key:path}", **artifact("image/png"),
                operation_id="getLabelMap", summary="Get a label map")  # fmt: skip
    async def label_map(bucket: str, key: str, match: Match = None) -> Response:
        """The label map of a segmented object as a PNG with a palette. Its values are indexes into the labels."""
        return await shown(await images.find(bucket, key), "label_map", "image/png", match)

    @routes.get("/v1/overlays/{bucket}/{key:path}", **artifact("image/jpeg"),
                operation_id="getOverlay", summary="Get an overlay")  # fmt: skip
    async def overlay(bucket: str, key: str, match: Match = None) -> Response:
        """The image with its segments in colour and a legend, as a JPEG."""
        return await shown(await images.find(bucket, key), "overlay", "image/jpeg", match)

    return routes
