"""The routes that teach by example, list what was said, and delete objects."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from tasks.labels.index_form import index_form
from tasks.message_parts import place_of
from workers.gateway import paging, record_models, responses
from workers.gateway.access import Access
from workers.gateway.api_keys import Scope
from workers.gateway.images import Images
from workers.gateway.problems import Problem
from workers.gateway.services import Services
from workers.images.label_check import BadLabel
from workers.images.teacher import NotTaggable, Taught
from workers.lifecycle.record_view import FULL
from workers.lifecycle.times import rfc3339

KIND = "statements"
AT_ONCE = 8  # concurrent calls to the workers; each holds a thread


class TagRequest(BaseModel, extra="forbid"):
    """What a person says of a label of an image."""

    label: str = Field(min_length=1, max_length=200)
    accepted: bool | None = Field(
        default=True, description="True accepts the label, false rejects it, null takes back what was said of it."
    )


class NearImage(BaseModel):
    """An image that looks like another one. `similarity`: cosine of their vectors."""

    bucket: str
    key: str
    similarity: float


class TaughtObject(BaseModel):
    """The record as it is now, and the images that look like this one; they are tagged again."""

    record: record_models.Record
    near: list[NearImage] = Field(description="Nearest first.")
    problem: str | None = Field(description="Why `near` or the journal is not complete; null if all went well.")


class StatementModel(BaseModel):
    """What a person said of a label of an object."""

    bucket: str
    key: str
    label: str
    accepted: bool
    etag: str = Field(description="The version of the object that was looked at.")
    said_at: datetime


class StatementList(BaseModel):
    """A page of what people said, by object and label."""

    statements: list[StatementModel]
    cursor: str | None = Field(description="Pass it to get the next page; null on the last page.")


class Teaching(Protocol):
    """Stores what people say of objects."""

    def say(self, bucket: str, key: str, label: str, accepted: bool | None) -> Taught:  # noqa: FBT001 -- as in the API
        """See ``workers.images.teacher.Teacher``."""
        ...


def router(teacher: Teaching, images: Images, services: Services, access: Access) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["teaching"])
    reading, writing = [Depends(access.needing(Scope.READ))], [Depends(access.needing(Scope.WRITE))]
    usual: Any = responses.problems(400, 404, 409, 422, 429, 503)
    threads = anyio.CapacityLimiter(AT_ONCE)  # separate, so that other routes work if no worker answers

    @routes.post(
        "/v1/objects/{bucket}/{key:path}:tag", response_model=TaughtObject, responses=usual, dependencies=writing,
        operation_id="tagObject", summary="Accept or reject a label",
    )  # fmt: skip
    async def say(bucket: str, key: str, wanted: TagRequest) -> Response:
        """Accept or reject a label of an object, or take that back. It holds for the object from now on.

        The object is an example, too: images that look like it gain the label, or lose it, and are tagged again.
        """
        return await anyio.to_thread.run_sync(said, bucket, key, wanted, limiter=threads)

    def said(bucket: str, key: str, wanted: TagRequest) -> Response:
        oid = images.found(bucket, key)
        try:
            taught = teacher.say(*place_of(oid), wanted.label, wanted.accepted)
        except NotTaggable as exc:
            images.look(oid)  # a problem of its own if there is no such object
            raise Problem("conflict", str(exc)) from exc
        except BadLabel as exc:
            raise Problem("bad-request", str(exc)) from exc
        near = [{"bucket": other, "key": name, "similarity": value} for other, name, value in taught.near]
        return responses.json({"record": FULL.record(taught.record), "near": near, "problem": taught.problem})

    @routes.get(
        "/v1/statements", response_model=StatementList, responses=responses.problems(400, 422, 429, 503),
        dependencies=reading, operation_id="listStatements", summary="List what people said",
    )  # fmt: skip
    def statements(limit: paging.Limit = 50, cursor: paging.Cursor = None) -> Response:
        """What people accepted and rejected, by object and label.

        A cursor is a place in this order, so pages have no repeats, and no gaps in what stays, while people go on.
        """
        found = services.statements.page(None if cursor is None else _place(cursor), limit + 1)
        rows = [
            {"bucket": bucket, "key": key, "label": one.label, "accepted": one.accepted, "etag": one.etag,
             "said_at": rfc3339(one.said_at)}
            for oid, one in found[:limit]
            for bucket, key in [place_of(oid)]
        ]  # fmt: skip
        more = None
        if len(found) > limit:
            oid, last = found[limit - 1]
            more = paging.sealed(KIND, [], (oid, index_form(last.label)))
        return responses.json({"statements": rows, "cursor": more})

    @routes.delete(
        "/v1/objects/{bucket}/{key:path}", status_code=204, responses=responses.problems(400, 404, 422, 429, 503),
        dependencies=writing, operation_id="deleteObject", summary="Delete an object",
    )  # fmt: skip
    def forget(bucket: str, key: str) -> Response:
        """Delete an object of the bucket and its record. Objects that the settings exclude are refused."""
        images.remove(images.found(bucket, key))
        return Response(status_code=204)

    return routes


def _place(cursor: str) -> tuple[str, str]:
    oid, form = paging.opened(cursor, KIND, [], tuple[str, str])
    return oid, form
