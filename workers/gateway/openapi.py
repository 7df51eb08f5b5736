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


def _image_body(*fields: str) -> dict[str, Any]:
    """The body of a request: an image, or a form with an image and these fields."""
    image: dict[str, Any] = {"type": "string", "format": "binary"}
    properties = {**{name: {"type": "string"} for name in fields}, "image": image}
    form = {"type": "object", "properties": properties, "required": ["image"]}
    content = {"image/*": {"schema": image}, "multipart/form-data": {"schema": form}}
    return {"security": [{"HTTPBearer": []}], "requestBody": {"required": True, "content": content}}


QUERY_IMAGE_BODY = _image_body()
IMAGE_BODY: dict[str, Any] = {
    **_image_body("file_name", "client_id", "metadata"),
    "parameters": [
        {
            "name": "Idempotency-Key", "in": "header", "required": False,
            "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
            "description": "For 24 hours, a request with the same key and the same image returns the same id.",
        }
    ],
}  # fmt: skip

FORM_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": IMAGE_BODY["requestBody"]["content"]["multipart/form-data"]},
    }
}

_WEBHOOK_OPERATION = {
    "post": {
        "tags": ["events"], "summary": "Receive events from MinIO", "operationId": "receiveMinioEvents",
        "description": "The webhook target for MinIO's bucket notifications.",
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
        openapi_version="3.1.0", servers=[{"url": app.state.root_path}] if app.state.root_path else None,
    )  # fmt: skip
    schemas = spec["components"]["schemas"]
    schemas["Problem"] = models.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    for name in ("HTTPValidationError", "ValidationError"):  # errors are problem documents
        schemas.pop(name, None)
    spec["paths"][WEBHOOK] = _WEBHOOK_OPERATION
    spec["webhooks"] = _webhooks(schemas)
    app.openapi_schema = spec
    return spec
