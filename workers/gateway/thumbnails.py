"""Thumbnails of objects. They are decoded and re-encoded, so no byte of the original file is served."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Annotated

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, Header, Query, Response

from tasks.images import BadImage
from tasks.images.errors import MemoryShort
from tasks.message_parts import place_of
from workers.decoding.decoders import Decoders
from workers.gateway import responses
from workers.gateway.access import Access
from workers.gateway.api_keys import Scope
from workers.gateway.images import Images
from workers.gateway.problems import Problem
from workers.gateway.progress_answers import matches
from workers.gateway.services import Options
from workers.monitoring.measured import count_cache
from workers.stores.store import ObjectStore

SIDES = (160, 320, 640, 1600)  # the largest fills a screen
KEPT = 32 * 2**20  # maximum bytes of cached thumbnails
AT_ONCE = 4  # threads that wait for decoders; two of them for images that take long
LIMIT_S = 10.0  # seconds of processor time for one
MOST_PIXELS = 50_000_000


class Thumbnails:
    """Creates thumbnails and caches the most recent. Thread-safe."""

    def __init__(self, store: ObjectStore, decoders: Decoders, options: Options) -> None:
        self._store = store
        self._decoders = decoders
        self._limit = options.max_object_bytes
        self._pixels = min(options.max_pixels, MOST_PIXELS)
        self._video = options.video
        # a refusal is kept as its reason: an exception would keep the file itself, by its traceback
        self._kept: OrderedDict[tuple[str, str, int], bytes | str] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self.threads = anyio.CapacityLimiter(AT_ONCE)  # separate, so that other routes do not wait for decoding

    def of(self, bucket: str, key: str, etag: str, side: int) -> bytes:
        """A WebP of at most ``side`` pixels per side. Raises ``Problem`` and the errors of the store."""
        name = (f"{bucket}/{key}", etag, side)
        with self._lock:
            if (kept := self._kept.get(name)) is not None:
                self._kept.move_to_end(name)
        count_cache("thumbnails", int(kept is not None), int(kept is None))
        if kept is not None:
            if isinstance(kept, str):  # it may have taken long
                raise Problem("not-an-image", kept)
            return kept
        data, _ = self._store.get(bucket, key, self._limit)
        try:
            made = self._decoders.thumbnail(data, side, max_pixels=self._pixels, limit_s=LIMIT_S, video=self._video)
        except BadImage as exc:
            if not isinstance(exc, MemoryShort):  # that depends on what else is decoded
                self._keep(name, str(exc))
            raise Problem("not-an-image", str(exc)) from exc
        self._keep(name, made)
        return made

    def _keep(self, name: tuple[str, str, int], made: bytes | str) -> None:
        with self._lock:
            self._bytes += _size(made) - _size(self._kept.pop(name, b""))
            self._kept[name] = made
            while self._bytes > KEPT:
                self._bytes -= _size(self._kept.popitem(last=False)[1])


def _size(made: bytes | str) -> int:
    """Bytes of memory, about."""
    return len(made) if isinstance(made, bytes) else 1024


def router(thumbnails: Thumbnails, images: Images, store: ObjectStore, access: Access) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["images"], dependencies=[Depends(access.needing(Scope.READ))])

    @routes.get(
        "/v1/thumbnails/{bucket}/{key:path}", response_class=Response,
        responses=responses.problems(400, 404, 413, 415, 422, 429, 503)
        | responses.image("image/webp") | responses.NOT_MODIFIED,
        operation_id="getThumbnail", summary="Get a thumbnail",
    )  # fmt: skip
    async def thumbnail(
        bucket: str,
        key: str,
        size: Annotated[int, Query(ge=1, le=SIDES[-1], description="Minimum pixels of the longer side.")] = 320,
        match: Annotated[str | None, Header(alias="If-None-Match")] = None,
        v: Annotated[  # noqa: ARG001 -- only for caches
            str, Query(max_length=1000, description="Not used: gives each version of an image its own URL.")
        ] = "",
    ) -> Response:
        """A thumbnail of an object, as WebP."""
        _, key = place_of(await images.find(bucket, key))
        info = await anyio.to_thread.run_sync(store.stat, bucket, key)
        if info is None:
            raise Problem("not-found", "the object does not exist")
        side = next(side for side in SIDES if side >= size)
        digest = hashlib.sha256(f"{info.ref.etag} {side}".encode()).hexdigest()[:16]
        headers = {"ETag": f'"{digest}"', "Cache-Control": "private, max-age=60"}
        if match is not None and matches(match, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        data = await anyio.to_thread.run_sync(
            thumbnails.of, bucket, key, info.ref.etag, side, limiter=thumbnails.threads
        )
        return Response(data, 200, headers, "image/webp")

    return routes
