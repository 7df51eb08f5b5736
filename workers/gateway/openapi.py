"""The OpenAPI document of the gateway: what FastAPI derives from the routes, and what it cannot see."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from workers.gateway import models
from workers.gateway.responses import problem
from workers.gateway.webhook_models import BatchEvent, RecordEvent, RemovedEvent
from workers.settings.webhook_kinds import BATCH, REMOVED, RESULTS

WEBHOOK = "/v1/events/minio"


LICENCE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
BYTES = "application/octet-stream"  # generators of clients leave out bodies of types such as "image/*"
BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
METHODS = frozenset({"get", "post", "delete"})
OPTIONAL_KEY: dict[str, Any] = {"security": [{}, {"HTTPBearer": []}]}


def _image_body(*fields: str, several: bool = False) -> dict[str, Any]:
    """The body of a request: an image, or a form with an image and these fields. ``several``: or with more images."""
    properties: dict[str, Any] = {**{name: {"type": "string"} for name in fields}, "image": BINARY}
    form: dict[str, Any] = {"type": "object", "properties": properties, "required": ["image"]}
    if several:
        # not "required": generated clients would send the image first, and fields behind it are refused
        form = {"type": "object", "properties": properties, "minProperties": 1}
        properties["images"] = {
            "type": "array", "items": BINARY, "description": "Several images. All are taken, or none is.",
        }  # fmt: skip
    content = {kind: {"schema": BINARY} for kind in (BYTES, "image/*")}
    form_content = {"multipart/form-data": {"schema": form}}
    return {"security": [{"HTTPBearer": []}], "requestBody": {"required": True, "content": content | form_content}}


QUERY_IMAGE_BODY = _image_body()
IMAGE_BODY: dict[str, Any] = {
    **_image_body("file_name", "client_id", "metadata", several=True),
    "parameters": [
        {
            "name": "Idempotency-Key", "in": "header", "required": False,
            "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
            "description": "For 24 hours, a request with the same key and the same images returns the same ids.",
        }
    ],
}  # fmt: skip

FORM_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": QUERY_IMAGE_BODY["requestBody"]["content"]["multipart/form-data"]},
    }
}

_WEBHOOK_OPERATION = {
    "post": {
        "tags": ["events"], "summary": "Receive events of an S3 server",
        "operationId": "receiveMinioEvents",
        "description": "The target of bucket notifications. The token may be the password of Basic authentication.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": {}}}},
        "responses": {
            "200": {"description": "The events are stored."},
            "202": {"description": "The notification is rejected and stored with the reason."},
            "400": {"description": "The sender closed the connection."},
            "401": problem("The token is missing or wrong."), "403": problem("Not allowed."),
            "408": problem("The body arrived too slowly."), "422": problem("There are no query parameters."),
            "429": problem("Too many bytes at once."), "503": problem("Nothing is stored. Send it again."),
        },
        "security": [{"HTTPBearer": []}],
    }
}  # fmt: skip


def _webhooks(schemas: dict[str, Any]) -> dict[str, Any]:
    """What receivers are sent, by kind of event. Adds the schemas of the bodies."""
    headers = [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string"}, "description": described}
        for name, described in (
            ("webhook-id", "The same for all attempts, and no other event has it."),
            ("webhook-timestamp", "The time of the attempt, in Unix seconds."),
            ("webhook-signature", "Signatures as Standard Webhooks specifies, one for each secret."),
        )
    ]

    def operation(name: str, model: type[BaseModel]) -> dict[str, Any]:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        for part, described in schema.pop("$defs", {}).items():
            schemas.setdefault(part, described)
        schemas[model.__name__] = schema
        summary = (model.__doc__ or "").partition("\n")[0]
        reference = {"$ref": f"#/components/schemas/{model.__name__}"}
        return {"post": {
            "tags": ["webhooks"], "operationId": name, "summary": summary, "parameters": headers,
            "requestBody": {"required": True, "content": {"application/json": {"schema": reference}}},
            "responses": {
                "2XX": {"description": "The event was received. All other answers are tried again."},
                "410": {"description": "The event is not tried again."},
            },
            "security": [],
        }}  # fmt: skip

    found = {kind: operation(f"on{kind.title().replace('.', '')}", RecordEvent) for kind in RESULTS}
    found[REMOVED] = operation("onObjectRemoved", RemovedEvent)
    found[BATCH] = operation("onBatchFinished", BatchEvent)
    return found


def specification(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, built once."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    spec = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes,
        openapi_version="3.1.0", license_info=LICENCE,
        servers=[{"url": app.state.root_path or "/", "description": "The gateway that serves this document."}],
    )  # fmt: skip
    schemas = spec["components"]["schemas"]
    schemas["Problem"] = models.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    for name in ("HTTPValidationError", "ValidationError"):  # errors are problem documents
        schemas.pop(name, None)
    spec["paths"][WEBHOOK] = _WEBHOOK_OPERATION
    spec["webhooks"] = _webhooks(schemas)
    for path, item in spec["paths"].items():
        for method in METHODS & item.keys():
            _complete(item[method], encoded="requestBody" in item[method] and path != WEBHOOK)
    app.openapi_schema = spec
    return spec


_LIMITS: dict[str, Any] = {
    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds after which to try again."},
    "RateLimit": {
        "schema": {"type": "string"},
        "description": "Where the rate is limited: what is left of each limit, and seconds until all of it is.",
    },
    "RateLimit-Policy": {
        "schema": {"type": "string"}, "description": "The limits: requests (`q`) in a window of seconds (`w`).",
    },
}  # fmt: skip


def _complete(operation: dict[str, Any], *, encoded: bool) -> None:
    """Say that an operation needs no key, if so, and what responses have in common.

    ``encoded``: it has a body, which might be compressed.
    """
    operation.setdefault("security", [])
    if "429" in operation["responses"]:
        operation["responses"]["429"]["headers"] = _LIMITS
    if encoded:
        refused = problem("The body has a Content-Encoding.")
        operation["responses"] = dict(sorted({"415": refused, **operation["responses"]}.items()))
