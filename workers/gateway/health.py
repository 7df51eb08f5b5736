"""Health checks, status and metrics: for load balancers, the web page and Prometheus."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import anyio.to_thread
import msgspec
from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from vectordb.errors import Transient, WildtagError
from workers.gateway import models, responses
from workers.gateway.access import Access
from workers.gateway.api_keys import Scope
from workers.gateway.event_streams import Streams
from workers.gateway.openapi import OPTIONAL_KEY
from workers.gateway.problems import Problem
from workers.gateway.services import Options, Services
from workers.gateway.webhook_metrics import of_receivers
from workers.lifecycle.times import public, rfc3339, rfc3339_or_none
from workers.outages.board import Outage

FULL = "full or read-only"  # what everybody may know of a disk
SILENT_S = 120.0  # seconds without progress while objects wait, after which the page reports a stage
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Metrics:
    """The gateway's own counters, and metrics of the system that are read at each scrape."""

    def __init__(self, services: Services, streams: Streams) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "wildtag_http_requests", "HTTP requests", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "wildtag_http_request_seconds", "seconds until the response headers were sent", ["route"],
            registry=self.registry, buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
        )  # fmt: skip
        self.registry.register(_Rest(services, streams))


class _Rest(Collector):
    def __init__(self, services: Services, streams: Streams) -> None:
        self._services = services
        self._streams = streams

    def describe(self) -> Iterable[Metric]:
        return ()  # called at registration, when Redis may be unavailable

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("wildtag_event_streams", "open event streams", value=self._streams.open)
        yield from self._queues()
        yield from self._outages()
        try:
            counts, ages = self._services.records.counts(), self._services.health.ages()
            models_in_use = self._services.models_in_use.read()
            sources, received = self._services.sources.conditions(), self._services.event_sink.counts()
            holds, receivers = self._services.holds.active(), self._services.receivers.standing()
        except Transient:
            yield GaugeMetricFamily("wildtag_redis_up", "whether Redis answers", value=0)
            return
        yield GaugeMetricFamily("wildtag_redis_up", "whether Redis answers", value=1)
        objects = GaugeMetricFamily("wildtag_objects", "objects by state", labels=["state"])
        for state, count in counts.items():
            objects.add_metric([state], count)
        yield objects
        ago = GaugeMetricFamily(
            "wildtag_seconds_since_progress", "seconds since the last progress of a stage or process", labels=["name"]
        )
        now = self._services.clock()
        for name, age in ages.items():
            ago.add_metric([name], age)
        yield ago
        batch = GaugeMetricFamily(
            "wildtag_model_batch", "images, texts or points that a loaded model takes at once",
            labels=["queue", "model", "process", "device", "runtime", "dtype"],
        )  # fmt: skip
        for one in models_in_use:
            batch.add_metric([one.queue, one.model, one.process, one.device, one.runtime, one.dtype], one.batch)
        yield batch
        works = GaugeMetricFamily("wildtag_event_source_works", "whether a source of events works", labels=["source"])
        for name, condition in sources.items():
            works.add_metric([name], float(condition.state == "working"))
        yield works
        held = GaugeMetricFamily("wildtag_held_removals", "missing objects whose removal is held", labels=["bucket"])
        for hold in holds:
            held.add_metric([hold.bucket], hold.missing)
        yield held
        events = CounterMetricFamily(
            "wildtag_events_received", "events by source and outcome", labels=["source", "what"]
        )
        for name, count in received.items():
            events.add_metric(list(name.partition(":")[::2]), count)
        yield events
        yield from of_receivers(receivers, now)

    def _queues(self) -> Iterable[Metric]:
        depths = self._services.depths.read()
        yield GaugeMetricFamily(
            "wildtag_broker_up", "whether the message broker answers", value=float(depths is not None)
        )
        ready = GaugeMetricFamily("wildtag_queue_messages", "messages that no worker has received", labels=["queue"])
        workers = GaugeMetricFamily("wildtag_queue_consumers", "workers on a queue; RabbitMQ only", labels=["queue"])
        held = GaugeMetricFamily("wildtag_unacknowledged_messages", "messages that workers hold; Redis only")
        for name, one in depths.queues.items() if depths else ():
            ready.add_metric([name], one.ready)
            if one.consumers is not None:
                workers.add_metric([name], one.consumers)
        if depths and depths.unacknowledged is not None:
            held.add_metric([], depths.unacknowledged)
        yield from (ready, workers, held)

    def _outages(self) -> Iterable[Metric]:
        lasting = GaugeMetricFamily("wildtag_outage_seconds", "duration of a service's outage", labels=["name"])
        waiting = GaugeMetricFamily("wildtag_outage_waiting", "objects waiting for a service", labels=["name"])
        for one in described(self._services.outages.active(), self._services.clock()):
            lasting.add_metric([one["name"]], one["seconds"])
            if one["waiting"] is not None:
                waiting.add_metric([one["name"]], one["waiting"])
        yield lasting
        yield waiting


def held_removals(services: Services) -> list[dict[str, Any]]:
    """Held removals in the form of the ``HeldRemovals`` schema."""
    with contextlib.suppress(Transient):  # which is an outage
        return list(public(services.holds.active()))
    return []


def covered(services: Services) -> dict[str, Any]:
    """What can be found, in the form of the ``Coverage`` schema."""
    found = services.coverage.read()
    return found.row()


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


class Measuring:
    """Middleware that counts requests by route, not by path, so that no keys get into metrics."""

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = time.perf_counter()

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "other")
                self._metrics.requests.labels(scope["method"][:10], route, message["status"]).inc()
                self._metrics.seconds.labels(route).observe(time.perf_counter() - begin)
            await send(message)

        await self._app(scope, receive, sending)


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
    body = {"ready": not missing, "missing": missing, "outages": outages, "held_removals": held}
    return responses.json(body, 503 if missing else 200, headers)


def router(services: Services, options: Options, access: Access, metrics: Metrics) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["health"])

    reading = [Depends(access.needing(Scope.READ))]

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
        return await readiness(services, known=await may_read(access, request))

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
            "data_loss": public(services.losses.read()), "refilling_since": rfc3339_or_none(services.refill.since()),
        })  # fmt: skip

    @routes.get(
        "/metrics", response_class=Response, dependencies=reading, operation_id="getMetrics", summary="Get metrics",
        responses=responses.problems(429) | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )  # fmt: skip
    def scraped() -> Response:
        """Metrics in the Prometheus text format."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return routes
