"""Responses of the routes, and how the OpenAPI document describes them."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Response

from workers.gateway.problems import MEDIA_TYPE

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "Not modified: `If-None-Match` has this ETag."}}
_DESCRIPTIONS = {
    400: "The request cannot be read.", 401: "An API key is required.", 403: "Not allowed.", 404: "Not found.",
    408: "The body arrived too slowly.", 409: "A request with this Idempotency-Key is in progress.",
    410: "The cursor has expired.", 413: "Too large.", 414: "The URL is too long.",
    415: "Not an image.",
    422: "The request does not match the specification.",
    429: "Too many requests.", 501: "Not available in this deployment.",
    503: "A service is unavailable, or the queue is full.", 507: "A disk is full or read-only.",
}  # fmt: skip


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error responses of a route; 401, 403 and 414 are included."""
    return {status: problem(_DESCRIPTIONS[status]) for status in sorted({401, 403, 414, *statuses})}


def public(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error responses of a route that needs no key; 414 and 422 are included."""
    return {status: problem(_DESCRIPTIONS[status]) for status in sorted({414, 422, *statuses})}


def image(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """The response with an image of one of these types. Generators of clients know only bytes without a type."""
    schema = {"type": "string", "format": "binary"}
    return {200: {"content": {kind: {"schema": schema} for kind in ("application/octet-stream", *kinds)}}}


def problem(description: str) -> dict[str, Any]:
    """A response with a problem document."""
    return {"description": description, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def stream(*statuses: int) -> dict[str, Any]:
    """The options of a route that sends server-sent events."""
    events = {200: {"description": "Server-sent events.", "content": {"text/event-stream": {}}}}
    return {
        "responses": problems(*statuses) | events,
        "response_model": None, "response_class": Response,  # FastAPI would add JSON to the events
    }  # fmt: skip


def json(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(msgspec.json.encode(body), status, headers, "application/json")
