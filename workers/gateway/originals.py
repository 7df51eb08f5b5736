"""The original bytes of objects, served so that no browser runs anything in them.

The content type is that of the first bytes, never that of the object's metadata. Only raster formats that browsers
display get one of their own; everything else, such as SVG and HTML, is an attachment of an unspecified type.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import quote

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, Header, Query, Request, Response

from tasks.message_parts import place_of
from workers.gateway import responses
from workers.gateway.access import Access
from workers.gateway.admission import Places
from workers.gateway.api_keys import Scope
from workers.gateway.images import Images
from workers.gateway.problems import Problem
from workers.gateway.progress_answers import matches
from workers.gateway.services import Options
from workers.stores.store import ObjectStore

AT_ONCE = 4  # responses; each holds an original in memory
UNSPECIFIED = "application/octet-stream"
# in a tab of its own the document has an opaque origin and may load and run nothing
SANDBOX = "default-src 'none'; sandbox; frame-ancestors 'none'"
_MAGIC = (
    (0, b"\xff\xd8\xff", "image/jpeg"), (0, b"\x89PNG\r\n\x1a\n", "image/png"), (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"), (8, b"WEBP", "image/webp"), (4, b"ftypavif", "image/avif"),
)  # fmt: skip


def displayed_type(data: bytes) -> str:
    """The media type of a raster image that browsers display; ``UNSPECIFIED`` for all other bytes."""
    return next((kind for at, magic, kind in _MAGIC if data.startswith(magic, at)), UNSPECIFIED)


def disposition(key: str, *, attachment: bool) -> str:
    """The Content-Disposition for the name of a file, or the last part of a key (RFC 6266 and RFC 8187)."""
    name = "".join(char if char.isprintable() else "_" for char in key.rstrip("/").rpartition("/")[2])
    return f"{'attachment' if attachment else 'inline'}; filename*=UTF-8''{quote(name, safe='', errors='replace')}"


def router(images: Images, store: ObjectStore, options: Options, access: Access) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["images"], dependencies=[Depends(access.needing(Scope.READ))])
    places = Places(AT_ONCE, "downloads of originals")

    async def place(request: Request) -> AsyncIterator[None]:
        with places.place(request.state.caller):
            yield  # until the response is sent

    @routes.get(
        "/v1/objects/{bucket}/{key:path}:content", response_class=Response, dependencies=[Depends(place)],
        responses=responses.problems(400, 404, 413, 422, 429, 503)
        | responses.image("image/*") | responses.NOT_MODIFIED,
        operation_id="getContent", summary="Get the original file",
    )  # fmt: skip
    async def content(
        bucket: str,
        key: str,
        download: Annotated[bool, Query(description="Have browsers save the file.")] = False,  # noqa: FBT002 -- a parameter of a URL
        match: Annotated[str | None, Header(alias="If-None-Match")] = None,
    ) -> Response:
        """The bytes of an object that is tagged. What browsers do not display as an image is an attachment."""
        oid = await images.find(bucket, key)
        await anyio.to_thread.run_sync(images.look, oid)  # only what is tagged: no journal and no artifact
        _, key = place_of(oid)
        info = await anyio.to_thread.run_sync(store.stat, bucket, key)
        if info is None:
            raise Problem("not-found", "the object does not exist")
        headers = {
            "ETag": _etag(info.ref.etag),
            "Cache-Control": "private, no-cache",
            "Content-Security-Policy": SANDBOX,
        }
        if match is not None and matches(match, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        data, read = await anyio.to_thread.run_sync(store.get, bucket, key, options.max_object_bytes)
        kind = displayed_type(data)
        headers["ETag"] = _etag(read.ref.etag)
        called = (read.user_metadata and read.user_metadata.file_name) or key
        headers["Content-Disposition"] = disposition(called, attachment=download or kind == UNSPECIFIED)
        return Response(data, 200, headers, kind)

    return routes


def _etag(version: str) -> str:
    return f'"{hashlib.sha256(f"{version} content".encode()).hexdigest()[:16]}"'
