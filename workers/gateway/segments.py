"""Segmentations: asking for one, and the artifacts of those that there are."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal
from urllib.parse import quote

import anyio.to_thread
from fastapi import APIRouter, Depends, Query, Response

from workers.gateway import models
from workers.gateway.access import Access
from workers.gateway.api_keys import Scope
from workers.gateway.images import Images, Match, answered_again, matches
from workers.gateway.problems import Problem
from workers.gateway.services import Options, Services
from workers.lifecycle.record import ArtifactKeys
from workers.segmentation.requests import NONE

SegmentationMethod = Literal["dense", "regions", "prompted", "none"]
Wanted = Annotated[
    SegmentationMethod | None,
    Query(description="also say where what is: how to segment the image; none: not even if its prefix says so"),
]


class Segments:
    """Notes how objects are to be segmented, and finds their artifacts. Blocks."""

    def __init__(self, services: Services, options: Options) -> None:
        self._services = services
        self._methods = options.segmentation_methods

    def check(self, method: SegmentationMethod | None) -> None:
        """Raises ``Problem`` for a method that there is not in this deployment."""
        if method is not None and method not in (*self._methods, NONE):
            raise Problem("unsupported", f"there is no method {method!r} here; there are {', '.join(self._methods)}")

    def request(self, oids: list[str], method: SegmentationMethod | None) -> None:
        """Have the objects segmented; they must be announced after that."""
        if method is not None:
            self._services.segmentation_requests.ask(oids, method)

    def picture(self, oid: str, name: Literal["label_map", "overlay"]) -> tuple[str, str]:
        """The key and the ETag of a picture."""
        (record,) = self._services.records.get([oid])
        artifacts: ArtifactKeys | None = record.segmentation.artifacts if record and record.segmentation else None
        if record is None or artifacts is None:
            raise Problem("not-found", "there is no segmentation of this object")
        told = f"{record.etag} {record.segmentation_method} {record.finished_at}"
        return getattr(artifacts, name), f'"{hashlib.sha256(told.encode()).hexdigest()[:16]}"'


def router(segments: Segments, images: Images, services: Services, options: Options, access: Access) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["segmentation"])
    reading, writing = [Depends(access.needing(Scope.READ))], [Depends(access.needing(Scope.WRITE))]
    usual = models.problems(400, 404, 422, 429, 501, 503)
    asked: Any = {
        "status_code": 202, "response_model": models.Progress, "responses": usual, "dependencies": writing,
    }  # fmt: skip

    def segmented(oid: str, address: str, name: str | None, method: SegmentationMethod) -> Response:
        segments.check(method)
        images.look(oid)
        segments.request([oid], method)
        before = images.again(oid, only_final=True)  # what is on its way has heard of it
        return answered_again(before, name, address)

    @routes.post("/v1/images/{id}:segment", **asked)
    def segment_image(id: str, method: SegmentationMethod = "dense") -> Response:  # noqa: A002
        """Have an uploaded image segmented. `Location` says where to wait for its new record."""
        return segmented(images.oid(id), f"/v1/images/{id}", id, method)

    @routes.post("/v1/objects/{bucket}/{key:path}:segment", **asked)
    def segment_object(bucket: str, key: str, method: SegmentationMethod = "dense") -> Response:
        """Have an object segmented. `Location` says where to wait for its new record."""
        oid = images.object(bucket, key)
        return segmented(oid, quote(f"/v1/objects/{bucket}/{key}"), images.id(key), method)

    async def shown(oid: str, name: Literal["label_map", "overlay"], kind: str, match: str | None) -> Response:
        key, tag = await anyio.to_thread.run_sync(segments.picture, oid, name)
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if match is not None and matches(match, tag):
            return Response(status_code=304, headers=headers)
        data, _ = await anyio.to_thread.run_sync(services.store.get, options.bucket, key, options.max_object_bytes)
        return Response(data, 200, headers, kind)

    def picture(kind: str) -> Any:
        responses = models.problems(400, 404, 413, 422, 429, 503)
        told = {200: {"content": {kind: {}}}, 304: {"description": "It is as If-None-Match says."}}
        return {"response_class": Response, "dependencies": reading, "responses": responses | told}

    @routes.get("/v1/label-maps/{bucket}/{key:path}", **picture("image/png"))
    async def label_map(bucket: str, key: str, match: Match = None) -> Response:
        """The label map of a segmented object, a PNG with a palette: its values are places in the record's labels."""
        return await shown(images.object(bucket, key), "label_map", "image/png", match)

    @routes.get("/v1/overlays/{bucket}/{key:path}", **picture("image/jpeg"))
    async def overlay(bucket: str, key: str, match: Match = None) -> Response:
        """A segmented object in the colours of its labels, with a legend, as JPEG."""
        return await shown(images.object(bucket, key), "overlay", "image/jpeg", match)

    return routes
