"""The routes of health checks, status and metrics: for load balancers, the web page and Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import anyio.to_thread
import msgspec
from fastapi import APIRouter, Depends, Request, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from vectordb.errors import Transient, WildtagError
from workers.gateway import models, responses
from workers.gateway.access import Access
from workers.gateway.api_keys import Scope
from workers.gateway.metrics import Metrics
from workers.gateway.openapi import OPTIONAL_KEY
from workers.gateway.problems import Problem
from workers.gateway.rate_limits import Kind
from workers.gateway.services import Options, Services
from workers.lifecycle.times import public, rfc3339, rfc3339_or_none
from workers.outages.board import Outage

FULL = "full or read-only"  # what everybody may know of a disk


def held_removals(services: Services) -> list[dict[str, Any]]:
    """Held removals in the form of the ``HeldRemovals`` schema."""
    with contextlib.suppress(Transient):  # which is an outage
        return list(public(services.holds.active()))
    return []


def draining_since(services: Services) -> str | None:
    """Since when nothing is handed out to workers; RFC 3339."""
    with contextlib.suppress(Transient):  # as above
        draining = services.drain.read()
        return None if draining is None else rfc3339(draining.since)
    return None


def covered(services: Services) -> dict[str, Any]:
    """What can be found, in the form of the ``Coverage`` schema."""
    return services.coverage.read().row()


def described(standing: Iterable[Outage], now: float) -> list[dict[str, Any]]:
    """Outages in the form of the ``Outage`` schema."""
    return [
        {"name": one.name, "reason": one.reason, "since": rfc3339(one.since or now),
         "seconds": round(max(0.0, now - (one.since or now)), 1), "waiting": one.waiting}
        for one in standing
    ]  # fmt: skip


def states_only(outage: dict[str, Any]) -> dict[str, Any]:
    """An outage as everybody may see it: without addresses and numbers of objects."""
    return {**outage, "reason": away(outage["since"]), "waiting": None}


def anonymous(missing: dict[str, str], outages: list[dict[str, Any]]) -> dict[str, str]:
    """The missing services as everybody may see them."""
    since = {one["name"]: one["since"] for one in outages}
    return {name: FULL if name == "disk" else away(since.get(name)) for name in missing}


def away(since: str | None = None) -> str:
    """What everybody may know of an unavailable service. ``since``: RFC 3339."""
    return "away" if since is None else f"away since {since}"


async def may_read(access: Access, request: Request) -> bool:
    """Whether the caller has the scope ``read``."""
    try:
        await access.checked(request, Scope.READ)
    except (Problem, Transient):
        return False
    return True


async def readiness(services: Services, *, known: bool) -> Response:
    """The response of ``/readyz``. ``known``: the caller may see reasons and numbers."""
    missing: dict[str, str] = {}
    try:
        await services.batching_writer.reachable()
    except WildtagError as exc:
        missing["redis"] = str(exc)
    store = await anyio.to_thread.run_sync(services.outages.look, "store")
    if store is not None:
        missing["store"] = store
    if (full := await anyio.to_thread.run_sync(services.free_space.reason)) is not None:
        missing["disk"] = full
    if "redis" not in missing:
        await anyio.to_thread.run_sync(services.depths.read)  # a broker that is away becomes an outage
    standing = await anyio.to_thread.run_sync(services.outages.active)
    headers = {"Retry-After": "1"} if missing else None
    held = [] if "redis" in missing else await anyio.to_thread.run_sync(held_removals, services)
    outages = described(standing, services.clock())
    if not known:
        missing, outages, held = anonymous(missing, outages), [states_only(one) for one in outages], []
    body = {"ready": not missing, "missing": missing, "outages": outages, "held_removals": held,
            "draining_since": await anyio.to_thread.run_sync(draining_since, services)}  # fmt: skip
    return responses.json(body, 503 if missing else 200, headers)


class Together:
    """Makes one response for all requests that wait for it, so that many of them cost no more than one."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, Response]]) -> None:
        self._make = make
        self._making: asyncio.Task[Response] | None = None

    async def __call__(self) -> Response:
        if self._making is None or self._making.done():
            self._making = asyncio.create_task(self._make())
        made = await asyncio.shield(self._making)
        return Response(made.body, made.status_code, dict(made.headers))


def router(services: Services, options: Options, access: Access, metrics: Metrics) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["health"])

    reading = [Depends(access.needing(Scope.READ))]
    strangers = Together(lambda: readiness(services, known=False))
    scraping = [Depends(access.needing(Scope.READ, Kind.MONITORING))]

    @routes.get("/healthz", response_class=Response,
                responses=responses.public() | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
                operation_id="getHealth", summary="Check that the process is alive")  # fmt: skip
    def alive() -> Response:
        """Always succeeds while the process runs."""
        return Response("alive\n", media_type="text/plain")

    @routes.get(
        "/readyz", response_model=models.Ready,
        operation_id="getReadiness", summary="Check that requests can be served",
        responses=responses.public() | {503: {"model": models.Ready, "description": "Not ready."}},
        openapi_extra=OPTIONAL_KEY,
    )  # fmt: skip
    async def ready(request: Request) -> Response:
        """Ready means that Redis and the object store answer, and that the disks have room.

        Other outages are listed in `outages` and do not change the status: images are still accepted. Reasons and
        numbers are shown only to callers that may read `/v1/status`.
        """
        return await (readiness(services, known=True) if await may_read(access, request) else strangers())

    @routes.get("/v1/status", response_model=models.Status, responses=responses.problems(429, 503),
                dependencies=reading, operation_id="getStatus", summary="Get the state of the system")  # fmt: skip
    def status() -> Response:
        """The number of objects by state, the last progress of each stage, event sources and outages."""
        version: str | None = None
        depths = services.depths.read()
        standing = services.outages.active()
        try:
            if all(one.name != "captions" for one in standing):  # otherwise the call would block
                version = services.captions.version()
        except Transient as exc:
            services.outages.own.register(exc)
            standing = services.outages.active()
        except WildtagError:
            pass
        now = services.clock()
        return responses.json({
            "bucket": options.bucket, "counts": services.records.counts(),
            "seconds_since_progress": {n: round(age, 1) for n, age in services.health.ages().items()},
            "captions_version": version, "flower": options.flower, "models": public(services.models_in_use.read()),
            "queues": depths and msgspec.to_builtins(depths),
            "outages": described(standing, now), "held_removals": held_removals(services),
            "sources": public(dict(services.sources.conditions())),
            "image_index": public(services.images_standing.read()),
            "coverage": covered(services), "webhooks": public(services.receivers.standing()),
            "draining_since": draining_since(services),
            "data_loss": public(services.losses.read()), "refilling_since": rfc3339_or_none(services.refill.since()),
        })  # fmt: skip

    @routes.get(
        "/metrics", response_class=Response, dependencies=scraping, operation_id="getMetrics", summary="Get metrics",
        responses=responses.problems(429) | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )  # fmt: skip
    def scraped() -> Response:
        """Metrics in the Prometheus text format."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return routes
