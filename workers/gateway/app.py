"""The gateway's application: its routes, what they share, and what runs beside them. It loads no model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware.cors import CORSMiddleware

from workers.gateway import (
    access,
    batches,
    captions,
    deliveries,
    feed,
    health,
    images,
    models,
    page,
    problems,
    segments,
    tags,
    thumbnails,
    uploads,
    webhook,
)
from workers.gateway.broadcaster import Broadcaster
from workers.gateway.event_streams import Streams
from workers.gateway.guards import Guards
from workers.gateway.services import Options, Services

DESCRIPTION = """Tags images without a list of tags. Upload an image and poll it, or follow the bucket images land in.

Errors are problem documents (RFC 9457) whose `type` is stable. Keys, where they are needed, go in
`Authorization: Bearer`. Times are Unix seconds, unless a name says otherwise."""
WEBHOOK = "/v1/events/minio"


def create_app(services: Services, options: Options) -> FastAPI:
    """An application over these services."""
    broadcaster = Broadcaster(services.records, services.progress, services.outages.own)
    streams = Streams(options.streams_max)
    doors = access.Access(services.keys, admin_key=options.admin_key, open_=options.open, rate=options.rate,
                          origins=options.cors_origins)  # fmt: skip
    where = images.Images(services, options, broadcaster)
    drawing = segments.Segments(services, options)
    metrics = health.Metrics(services, streams)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        listing = asyncio.create_task(batches.listing(services.batches, services.outages.own))
        async with broadcaster.running():
            yield
        listing.cancel()
        await asyncio.gather(listing, return_exceptions=True)
        await services.batching_writer.close()

    app = FastAPI(title="wildtag", version=version("wildtag"), description=DESCRIPTION, lifespan=lifespan,
                  docs_url=None, redoc_url=None)  # fmt: skip
    problems.install(app)
    # a plain route: FastAPI's own would look for parameters in each of a thousand requests a second and find none
    notified = webhook.webhook_route(
        services.batching_writer, bucket=options.bucket, token=options.token, open_=options.open
    )
    app.add_route(WEBHOOK, notified, methods=["POST"])
    for router in (
        uploads.router(uploads.Uploads(services, options, where, drawing), where, services, options, doors),
        segments.router(drawing, where, services, options, doors),
        images.router(where, services, doors, streams),
        thumbnails.router(thumbnails.Thumbnails(services.store, options), where, services.store, doors),
        batches.router(services.batches, where, drawing, options, doors),
        tags.router(services.records, doors),
        feed.router(services.records, broadcaster, doors, streams),
        captions.router(services.captions, doors),
        deliveries.router(services.dead_letters, doors),
        access.router(doors),
        health.router(services, options, doors, metrics),
    ):
        app.include_router(router)
    page.install(app)
    app.add_middleware(
        Guards, streamed=frozenset({"/v1/images", WEBHOOK}), pages=page.policy, patience_s=options.body_patience_s
    )
    app.add_middleware(health.Measuring, metrics=metrics)
    if options.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=options.cors_origins, allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Last-Event-ID"],
            expose_headers=["ETag", "Location", "Retry-After"],
        )  # fmt: skip
    app.openapi = lambda: specification(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def specification(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: what FastAPI finds, and what it cannot see."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    spec = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes,
        openapi_version="3.1.0",
    )  # fmt: skip
    schemas = spec["components"]["schemas"]
    problem = models.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas["Problem"] = problem
    for name in ("HTTPValidationError", "ValidationError"):  # errors are problem documents here
        schemas.pop(name, None)
    spec["paths"][WEBHOOK] = models.WEBHOOK
    app.openapi_schema = spec
    return spec
