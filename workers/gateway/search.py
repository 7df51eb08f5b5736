"""The routes that find images: by a text, by an image, or by filters alone."""

from __future__ import annotations

from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, Query, Request, Response

from workers.gateway import openapi, paging, responses, search_models
from workers.gateway.access import Access
from workers.gateway.admission import Places
from workers.gateway.api_keys import Scope
from workers.gateway.bodies import received
from workers.gateway.body_memory import lease_of
from workers.gateway.images import Images
from workers.gateway.problems import Problem
from workers.gateway.rate_limits import Kind
from workers.gateway.services import Options, Services
from workers.gateway.views import Brief, Fields, view_of
from workers.images.finding import Asked, FoundPage, NothingAsked, NoVector
from workers.images.kept_lists import CursorExpired
from workers.images.query_image import BadQueryImage
from workers.images.search_filter import BadTime, SearchFilter
from workers.lifecycle.record import State
from workers.lifecycle.record_view import FULL, View

AT_ONCE = 8  # concurrent searches; each holds a thread
IMAGES_AT_ONCE = 4  # concurrent searches with an image, which is kept in memory
_UNREADABLE = frozenset({"not-an-image", "unsupported"})

Label = Annotated[str, Query(min_length=1, max_length=200)]


class Filters:
    """The filters of a request, as a FastAPI dependency."""

    def __init__(
        self,
        tag: Annotated[
            list[Label],
            Query(max_length=20, description="Only images with these tags, in any spelling, also implied."),
        ] = [],  # noqa: B006 -- FastAPI copies it
        not_tag: Annotated[list[Label], Query(max_length=20, description="No images with one of these tags.")] = [],  # noqa: B006 -- as above
        bucket: Annotated[str | None, Query(max_length=63, description="Only images of this bucket.")] = None,
        prefix: Annotated[str, Query(max_length=1024, description="Only keys that begin with this.")] = "",
        after: Annotated[
            str | None,
            Query(max_length=40, description="Only images taken at this time or later: a date, or RFC 3339."),
        ] = None,
        before: Annotated[
            str | None,
            Query(max_length=40, description="Only images taken at this time, on this date, or earlier."),
        ] = None,
        state: Annotated[
            State | None,
            Query(description="Only images in this state, and those that are tagged without it; not with a text."),
        ] = None,
    ) -> None:
        self.bucket = bucket
        self._given = (tag, not_tag, bucket, prefix)
        self._state = state
        self._after, self._before = after or None, before or None

    def where(self) -> SearchFilter:
        """The filter. Raises ``Problem``."""
        for name, value in (("after", self._after), ("before", self._before)):
            try:
                SearchFilter.of(after=value)
            except BadTime as exc:
                errors = [{"where": f"query.{name}", "reason": str(exc)}]
                raise Problem("invalid", f"query.{name}: {exc}", errors=errors) from exc
        return SearchFilter.of(*self._given, self._after, self._before, self._state)


HIT_FIELDS = tuple(search_models.FoundImage.model_fields)


def shown_hits(
    fields: Fields = [],  # noqa: B006 -- FastAPI copies it
    view: Brief = "full",
) -> View:
    """How much of the hits is shown, as a FastAPI dependency; they have no evidence in any case."""
    return view_of(fields, view, HIT_FIELDS)


class Searches:
    """Runs searches in threads of their own, so that other routes work if no worker answers."""

    def __init__(self, services: Services, options: Options, images: Images) -> None:
        self._finder = services.finder
        self._spellings = services.spellings
        self._options = options
        self._images = images
        self._threads = anyio.CapacityLimiter(AT_ONCE)
        self._places = Places(IMAGES_AT_ONCE, "searches with an image")

    async def find(self, asked: Asked, limit: int, view: View = FULL, cursor: str | None = None) -> Response:
        """The response with a page. Raises ``Problem``."""
        try:
            page = await anyio.to_thread.run_sync(self._finder.find, asked, limit, cursor, limiter=self._threads)
        except (NothingAsked, NoVector, BadQueryImage, CursorExpired) as exc:
            raise _problem(exc) from exc
        return responses.json(self._body(page, view))

    def object(self, bucket: str | None, key: str) -> tuple[str, str]:
        """Bucket and key of the object that is meant. Blocks."""
        bucket = bucket or self._options.bucket
        return bucket, self._spellings.find(bucket, key)

    async def find_like(self, request: Request, where: SearchFilter, limit: int, view: View) -> Response:
        """The response for the image of a request. Raises ``Problem``."""
        with self._places.place(request.state.caller):
            body = await received(request, self._options.max_object_bytes, video=self._options.video)
            data = await body.whole_within(lease_of(request))
            return await self.find(Asked(where, image=data), limit, view)

    def _body(self, page: FoundPage, view: View) -> dict[str, Any]:
        return {
            "images": [view.row({"id": self._images.id(one.record.key), **one.row()}) for one in page.images],
            "found_by": page.found_by,
            "truncated": page.truncated, "cursor": page.cursor, "hint": page.hint,
            **page.coverage.row(),
        }  # fmt: skip


def _problem(exc: Exception) -> Problem:
    if isinstance(exc, BadQueryImage):
        name = "not-an-image" if exc.code in _UNREADABLE else "bad-image"
        return Problem(name, str(exc), code=exc.code)
    if isinstance(exc, NoVector):
        return Problem("not-found", str(exc))
    if isinstance(exc, CursorExpired):
        return Problem("expired", str(exc))
    return Problem("bad-request", str(exc))


def router(services: Services, options: Options, images: Images, access: Access) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["search"], dependencies=[Depends(access.needing(Scope.READ, Kind.EXPENSIVE))])
    searches = Searches(services, options, images)

    @routes.get("/v1/search", response_model=search_models.FoundImages, operation_id="searchImages",
                summary="Search images", responses=responses.problems(400, 404, 410, 422, 429, 503))  # fmt: skip
    async def search(
        filters: Annotated[Filters, Depends()],
        view: Annotated[View, Depends(shown_hits)],
        q: Annotated[str, Query(max_length=1000, description="A text: what the images show, or a tag.")] = "",
        like: Annotated[
            str | None,
            Query(min_length=1, max_length=1024, description="The key of an object: find images that look like it."),
        ] = None,
        limit: paging.Limit = 50,
        cursor: Annotated[
            str | None, Query(description="The `cursor` of the previous page; give nothing else.")
        ] = None,
    ) -> Response:
        """Images that show what a text says, look like an object, or fulfil filters; best first.

        A text is compared with the images themselves, and with their tags and file names. Filters alone list the
        images that fulfil them, those that were tagged last first. The hits of a search are kept, so its pages have
        no repeats and no gaps while images arrive. Images that are removed or changed meanwhile are left out.
        """
        if like is not None and q.strip():
            raise Problem("bad-request", "give q or like, not both")
        where = filters.where()
        if like is None:
            return await searches.find(Asked(where, q.strip()), limit, view, cursor)
        found = await anyio.to_thread.run_sync(searches.object, filters.bucket, like)
        return await searches.find(Asked(where, like=found), limit, view, cursor)

    @routes.post("/v1/search", response_model=search_models.FoundImages, operation_id="searchImagesByImage",
                 summary="Search images by an image", openapi_extra=openapi.QUERY_IMAGE_BODY,
                 responses=responses.problems(400, 408, 413, 415, 422, 429, 503))  # fmt: skip
    async def search_by_image(
        request: Request,
        filters: Annotated[Filters, Depends()],
        view: Annotated[View, Depends(shown_hits)],
        limit: paging.Limit = 50,
    ) -> Response:
        """Images that look like the image in the body, nearest first. The image is not kept.

        The body is the image, or a form with one file, the image. Further pages: `GET` with the `cursor`.
        """
        return await searches.find_like(request, filters.where(), limit, view)

    return routes
