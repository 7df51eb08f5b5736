"""The Celery tasks of a worker. Each task passes its message to the ``StageWorker``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from celery import Celery
from structlog.contextvars import bind_contextvars

from workers.broker.timed_requests import request_class
from workers.captions.remote_index import ENCODE, TASK
from workers.images import archive, image_requests, index_task, query_image, teacher, text_search
from workers.settings.settings import QUEUES, SEGMENTATION, STAGES
from workers.stages.rpc_server import RpcServer
from workers.stages.worker import StageWorker


def register(
    app: Celery, worker: Callable[[], StageWorker], clock: Callable[[], float] = time.time,
    time_limits: Mapping[str, int] = MappingProxyType({}),
) -> None:  # fmt: skip
    """Register the tasks of all stages. ``worker`` is called for each task, in the process that runs it.

    ``clock``: that of the publishers. ``time_limits``: seconds, of stages whose limit is not that of the app.
    """
    requests_by = request_class(clock)

    def add_stage(stage: str) -> None:
        limit: dict[str, Any] = {"time_limit": time_limits[stage]} if stage in time_limits else {}

        @app.task(name=f"wildtag.{stage}", bind=True, ignore_result=True, Request=requests_by, **limit)
        def run(task: Any, data: bytes) -> object:
            request = task.request
            bind_contextvars(task=request.id)
            # a redelivered message was started before
            begun = request.retries or bool((request.delivery_info or {}).get("redelivered"))
            return worker().run(stage, data, int(begun), (request.properties or {}).get("delivery_tag"))

    def add_probe(queue: str) -> None:
        @app.task(name=f"wildtag.probe.{queue}", ignore_result=True, Request=requests_by)
        def probe() -> str:
            worker().warm(queue)
            return "ready"

    for stage in (*STAGES, SEGMENTATION):
        add_stage(stage)
    for queue in QUEUES:
        add_probe(queue)

    requests: Mapping[str, Callable[[RpcServer], Callable[[str, bytes], None]]] = {
        TASK: lambda rpc: rpc.captions,
        image_requests.TASK: lambda rpc: rpc.images,
        archive.TASK: lambda rpc: rpc.archive,
        teacher.TASK: lambda rpc: rpc.near,
        index_task.TASK: lambda rpc: rpc.index,
        ENCODE: lambda rpc: rpc.encode,
        query_image.TASK: lambda rpc: rpc.embed_query,
        text_search.TASK: lambda rpc: rpc.search,
    }

    def add_request(name: str, handler: Callable[[RpcServer], Callable[[str, bytes], None]]) -> None:
        @app.task(name=name, ignore_result=True, Request=requests_by)
        def handle(request: str, data: bytes) -> str:
            bind_contextvars(task_name=name, rpc=request)
            worker().serve(handler, request, data)
            return "answered"

    for name, handler in requests.items():
        add_request(name, handler)
