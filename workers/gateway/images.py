"""The routes of images, by id for uploads and by bucket and key for all objects: polling, long polling, events."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import quote

import anyio.to_thread
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from tasks.message_parts import place_of
from vectordb.errors import Transient
from workers.gateway import record_models, responses
from workers.gateway.access import Access, Caller
from workers.gateway.admission import Admission
from workers.gateway.api_keys import Scope
from workers.gateway.broadcaster import Broadcaster
from workers.gateway.event_streams import Streams, event
from workers.gateway.origins import of_this_request
from workers.gateway.own_metadata import OwnMetadata
from workers.gateway.problems import Problem
from workers.gateway.progress_answers import Again, answered, answered_again, document, etag, matches
from workers.gateway.services import Options, Services
from workers.gateway.views import shown, since
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.progress import Progress
from workers.lifecycle.record_view import FULL, View

LONGEST_WAIT = 60.0  # seconds
LONGEST_STREAM = 3600.0
_ID = re.compile(r"[0-9a-f]{32}(\.[a-z0-9]{2,4})?")

Wait = Annotated[
    float,
    Query(
        ge=0,
        le=LONGEST_WAIT,
        allow_inf_nan=False,
        description="Seconds to wait for the final state, or with If-None-Match for a change.",
    ),
]
Since = Annotated[float, Depends(since)]
Shown = Annotated[View, Depends(shown)]
Match = Annotated[str | None, Header(alias="If-None-Match")]


class Images:
    """Looks up the progress of images and changes them."""

    def __init__(self, services: Services, options: Options, broadcaster: Broadcaster, admission: Admission) -> None:
        self._services = services
        self._options = options
        self._broadcaster = broadcaster
        self._spellings = services.spellings
        self._admission = admission
        self.own_metadata = OwnMetadata(services.store)

    def key(self, name: str) -> str:
        """The key of an upload. Raises ``Problem`` for an invalid id."""
        if not _ID.fullmatch(name):
            raise Problem("not-found", "no image has this id")
        return f"{self._options.upload_prefix}{name}"

    def oid(self, name: str) -> str:
        """``bucket/key`` of an upload."""
        return f"{self._options.bucket}/{self.key(name)}"

    def id(self, key: str) -> str | None:
        """The id of a key, if it is an upload."""
        name = key.removeprefix(self._options.upload_prefix)
        return name if name != key and _ID.fullmatch(name) else None

    def object(self, bucket: str, key: str) -> str:
        """``bucket/key`` of an object. Raises ``Problem`` for another bucket."""
        if bucket != self._options.bucket or not key:
            raise Problem("not-found", f"no object {key[:200]!r} in a bucket {bucket[:63]!r}")
        return f"{bucket}/{key}"

    def found(self, bucket: str, key: str) -> str:
        """``bucket/key`` of an object, in the normalisation that its key has. Blocks. Raises ``Problem``."""
        self.object(bucket, key)
        return f"{bucket}/{self._spellings.find(bucket, key)}"

    async def find(self, bucket: str, key: str) -> str:
        """The same, without blocking."""
        return self.object(bucket, key) if key.isascii() else await anyio.to_thread.run_sync(self.found, bucket, key)

    def look(self, oid: str, since: float = 0.0) -> Progress:
        """The progress of an object. Blocks. Raises ``Problem`` if it does not exist or is not tagged."""
        (progress,) = self._services.progress.look([oid], since)
        if progress is not None and not progress.forgotten:
            return self.own_metadata.described(progress)
        bucket, key = place_of(oid)
        # its event may not have been handled yet, or what was deleted is entered by an event from before
        info = self._services.store.stat(bucket, key)
        if info is None:
            hint = "" if key.startswith(self._options.upload_prefix) else self._spellings.hint(bucket, key)
            raise Problem("not-found", f"the image does not exist{hint}")
        if (rule := self._services.ignored_by(key)) is not None:
            raise Problem("ignored", f"objects of this key are not tagged: {rule}")
        self.own_metadata.note(oid, info.ref.etag, info.user_metadata)
        if progress is None:
            (progress,) = self._services.progress.look([oid], since)
        return self.own_metadata.described(
            progress or Progress(bucket=bucket, key=key, etag=info.ref.etag, state="queued")
        )

    async def settled(self, oid: str, wait: float, since: float = 0.0, known: str | None = None) -> Progress:
        """The progress once it is final, or differs from the ETag ``known``, or after ``wait`` seconds."""
        progress = None
        look, each = (lambda: self.look(oid, since)), known is not None
        async for progress in self._broadcaster.steps(oid, look, wait, each=each):
            if known is not None and not matches(known, etag(progress)):
                break
        assert progress is not None  # noqa: S101 -- there is always a first step
        return progress

    async def stream(self, oid: str, since: float, view: View = FULL) -> AsyncIterator[bytes]:
        """Each step as an event; the last one is final."""
        last = ""
        async for progress in self._broadcaster.steps(oid, lambda: self.look(oid, since), LONGEST_STREAM):
            if (tag := etag(progress)) != last:
                last = tag
                yield event(document(progress, self.id(progress.key), view), name="state")

    def forget(self, name: str) -> None:
        """Delete an upload. Raises ``Problem`` if it does not exist."""
        self.remove(self.oid(name), "no image has this id")

    def remove(self, oid: str, missing: str | None = None) -> None:
        """Delete an object. Raises ``Problem``, with the text ``missing`` (for an upload) if it does not exist."""
        bucket, key = place_of(oid)
        if missing is None and (rule := self._services.ignored_by(key)) is not None:  # such as the journal
            raise Problem("ignored", f"objects of this key are not tagged, so they cannot be deleted here: {rule}")
        if self._services.store.stat(bucket, key) is None:
            hint = self._spellings.hint(bucket, key) if missing is None else ""
            raise Problem("not-found", missing or f"the object does not exist{hint}")
        self._services.progress.forget(oid)  # first: an event from before may still enter the object
        self._services.store.remove(bucket, key)
        removal = ObjectEvent("removed", bucket, key, requested=True)
        self._services.inbox.append(of_this_request([removal], time.time()))
        with contextlib.suppress(Transient):  # the dispatcher repeats it
            self._services.forget([oid])

    def again(self, oid: str, caller: Caller, *, only_final: bool = False, method: str | None = None) -> Again:
        """Tag an object again, if there is room for it. Raises ``Problem``.

        ``only_final``: do not restart an object that is being processed. ``method``: the requested segmentation
        method, whose request is stored before.
        """
        before = self.look(oid)
        self._admission.admit(caller, 1, method)
        if method is not None:
            self._services.segmentation_requests.ask([oid], method)
        bucket, key = place_of(oid)
        again = ObjectEvent("created", bucket, key, force=before.final or not only_final)
        self._services.inbox.append(of_this_request([again], time.time(), said="tagged again"), mark=again.force)
        return Again(self.look(oid, before.finished_at or 0.0), before.finished_at)


def router(images: Images, access: Access, streams: Streams) -> APIRouter:  # noqa: C901 -- a list of routes
    """The routes."""
    routes = APIRouter(tags=["images"])
    reading, writing = [Depends(access.needing(Scope.READ))], [Depends(access.needing(Scope.WRITE))]
    usual = responses.problems(400, 422, 429, 503)
    known: Any = {
        "response_model": record_models.Progress,
        "responses": usual | responses.problems(404) | responses.NOT_MODIFIED,
        "dependencies": reading,
    }

    async def polled(
        oid: str, wait: float, since: float, match: str | None, name: str | None, view: View
    ) -> Response:
        begin = time.monotonic()
        progress = await images.settled(oid, wait, since, match)
        if match is not None and matches(match, etag(progress)):
            return Response(status_code=304, headers={"ETag": etag(progress)})
        answer = answered(progress, name, view=view)
        if not progress.final:
            answer.headers["Retry-After"] = "1" if time.monotonic() - begin < 1 else "0"
        return answer

    def streamed(oid: str, since: float, view: View) -> StreamingResponse:
        return streams.response(images.stream(oid, since, view))

    @routes.get("/v1/images/{id}", **known, operation_id="getImage", summary="Get an uploaded image")
    async def image(
        id: str,  # noqa: A002
        since: Since,
        view: Shown,
        wait: Wait = 0.0,
        match: Match = None,
    ) -> Response:
        """The progress of an uploaded image, with its record once it is final."""
        return await polled(images.oid(id), wait, since, match, id, view)

    @routes.get("/v1/images/{id}/events", **responses.stream(404, 422, 429, 503), dependencies=reading,
                operation_id="watchImage", summary="Watch an uploaded image")  # fmt: skip
    async def image_events(id: str, since: Since, view: Shown) -> Response:  # noqa: A002
        """Each step of an image as server-sent events, up to the final one."""
        await anyio.to_thread.run_sync(images.look, images.oid(id))
        return streamed(images.oid(id), since, view)

    @routes.delete(
        "/v1/images/{id}", status_code=204, responses=usual | responses.problems(404), dependencies=writing,
        operation_id="deleteImage", summary="Delete an uploaded image",
    )  # fmt: skip
    def forget(id: str) -> Response:  # noqa: A002
        """Delete an uploaded image and its record."""
        images.forget(id)
        return Response(status_code=204)

    asked: Any = {
        "status_code": 202, "response_model": record_models.Progress, "responses": usual | responses.problems(404),
        "dependencies": writing,
    }  # fmt: skip

    @routes.post("/v1/images/{id}:retag", **asked, operation_id="retagImage", summary="Tag an uploaded image again")
    def retag_image(request: Request, id: str) -> Response:  # noqa: A002
        """Tag an uploaded image again. `Location` is the URL to wait for the new record."""
        return answered_again(images.again(images.oid(id), request.state.caller), id, f"/v1/images/{id}")

    @routes.post(
        "/v1/objects/{bucket}/{key:path}:retag", **asked, operation_id="retagObject", summary="Tag an object again"
    )
    def retag_object(request: Request, bucket: str, key: str) -> Response:
        """Tag an object again. `Location` is the URL to wait for the new record."""
        again = images.again(images.found(bucket, key), request.state.caller)
        return answered_again(again, images.id(key), quote(f"/v1/objects/{bucket}/{key}"))

    @routes.get(
        "/v1/objects/{bucket}/{key:path}:events", **responses.stream(404, 422, 429, 503), dependencies=reading,
        operation_id="watchObject", summary="Watch an object",
    )  # fmt: skip
    async def object_events(bucket: str, key: str, since: Since, view: Shown) -> Response:
        """Each step of an object as server-sent events, up to the final one."""
        oid = await images.find(bucket, key)
        await anyio.to_thread.run_sync(images.look, oid)
        return streamed(oid, since, view)

    @routes.get("/v1/objects/{bucket}/{key:path}", **known, operation_id="getObject", summary="Get an object")
    async def object_(
        bucket: str, key: str, since: Since, view: Shown, wait: Wait = 0.0, match: Match = None
    ) -> Response:
        """The progress of an object of the bucket, with its record once it is final."""
        return await polled(await images.find(bucket, key), wait, since, match, images.id(key), view)

    return routes
