"""The gateway's application: its routes, shared state and background tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import anyio.to_thread
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from workers.gateway import (
    access,
    batches,
    captions,
    data_watch,
    deliveries,
    direct_uploads,
    duplicates,
    feed,
    health,
    images,
    metrics,
    object_list,
    openapi,
    originals,
    page,
    paging,
    problems,
    rate_limits,
    request_metrics,
    route_rules,
    search,
    segments,
    sign_in,
    tags,
    teaching_routes,
    thumbnails,
    uploads,
    webhook,
)
from workers.gateway.access_log import HEADER, AccessLog
from workers.gateway.admission import Admission
from workers.gateway.behind_proxy import BehindProxy
from workers.gateway.body_memory import BodyMemory
from workers.gateway.broadcaster import Broadcaster
from workers.gateway.entry import Entry
from workers.gateway.event_streams import Streams
from workers.gateway.guards import Guards
from workers.gateway.head import Head
from workers.gateway.security_headers import secured
from workers.gateway.services import Options, Services

DESCRIPTION = """Tag images without a list of tags. Upload images and poll the results, or tag the images in a bucket.

Errors are problem documents (RFC 9457) with a stable `type`. API keys are sent as `Authorization: Bearer KEY`. Times
are RFC 3339 in UTC. HEAD is answered wherever GET is. Rates are limited by API key, and by address for unknown keys:
responses have `RateLimit` and `RateLimit-Policy`, and a refusal is `429` with `Retry-After`."""


class _Application(FastAPI):
    """FastAPI, with security headers also for what is made outside of all middleware: the response to a fault."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await super().__call__(scope, receive, secured(send))


def create_app(services: Services, options: Options) -> FastAPI:
    """The application with these services and options."""
    broadcaster = Broadcaster(services.records, services.progress, services.outages.own)
    streams = Streams(options.streams_max, options.ping_s)
    doors = access.Access(services.keys, services.sessions, admin_keys=options.admin_keys, open_=options.open,
                          limits=rate_limits.RateLimits(options.rates), origins=options.cors_origins)  # fmt: skip
    admission = Admission(services.progress, options)
    where = images.Images(services, options, broadcaster, admission)
    drawing = segments.Segments(services, options)
    taking = uploads.Uploads(services, options, where, drawing, admission, doors.charge)
    walks = paging.Walks(services.kept_lists)
    measured = metrics.Metrics(services, streams)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        listing = asyncio.create_task(batches.listing(services.batches, services.outages.own))
        looking = asyncio.create_task(data_watch.looking(services.data_loss, services.outages.own))
        removing = asyncio.create_task(taking.storing.removing())
        async with broadcaster.running():
            yield
        for task in (listing, looking, removing):
            task.cancel()
        await anyio.to_thread.run_sync(services.decoders.close)
        await asyncio.gather(listing, looking, removing, return_exceptions=True)
        await services.batching_writer.close()

    app = _Application(title="wildtag", version=version("wildtag"), description=DESCRIPTION, lifespan=lifespan,
                  docs_url=None, redoc_url=None)  # fmt: skip
    app.state.closing = streams.close  # see ``workers.gateway.serving``
    app.state.root_path = options.root_path
    app.state.metrics = measured.registry  # see ``workers.processes.measuring``
    problems.install(app)
    # a Starlette route: at thousands of requests per second FastAPI's parameter handling would cost too much
    notified = webhook.webhook_route(
        services.batching_writer,
        bucket=options.bucket,
        tokens=options.tokens,
        open_=options.open,
        limits=doors.limits,
    )
    app.add_route(openapi.WEBHOOK, notified, methods=["POST"])
    routers = (
        uploads.router(taking, where),
        direct_uploads.router(taking, where, services, options, doors),
        segments.router(drawing, where, services, options, doors),
        duplicates.router(services.duplicates, services.records, doors, walks),
        teaching_routes.router(services.teacher, where, services, doors),
        originals.router(where, services.store, options, doors),
        images.router(where, doors, streams),
        object_list.router(services.records, doors),
        batches.router(services.batches, where, drawing, options, doors, admission),
        thumbnails.router(
            thumbnails.Thumbnails(services.store, services.decoders, options), where, services.store, doors
        ),
        tags.router(services.records, doors, walks),
        search.router(services, options, where, doors),
        feed.router(services.records, broadcaster, doors, streams),
        captions.router(services.captions, doors),
        deliveries.router(services.dead_letters, services.receivers, doors),
        sign_in.router(doors),
        health.router(services, options, doors, measured),
    )
    for router in routers:
        app.include_router(router)
    page.install(app)
    app.add_middleware(
        Entry, access=doors, rules=route_rules.rules(route for router in routers for route in router.routes),
        memory=BodyMemory(options.max_object_bytes), body_s=options.body_patience_s, recheck_s=options.recheck_s,
        files=page.paths() | {app.openapi_url or ""},
    )  # fmt: skip
    app.add_middleware(
        Guards,
        pages=page.policy,
        patience_s=options.body_patience_s,
    )
    app.add_middleware(Head)
    app.add_middleware(request_metrics.Measuring)
    if options.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=options.cors_origins, allow_methods=["GET", "HEAD", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Last-Event-ID",
                           HEADER, "traceparent"],
            expose_headers=["ETag", "Location", "Retry-After", "RateLimit", "RateLimit-Policy", HEADER],
        )  # fmt: skip
    app.add_middleware(AccessLog, files=page.paths() | {app.openapi_url or ""}, lines=options.access_log)
    app.add_middleware(BehindProxy, root_path=options.root_path, proxies=options.trusted_proxies)
    app.openapi = lambda: openapi.specification(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app
