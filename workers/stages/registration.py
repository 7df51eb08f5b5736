"""The Celery tasks of a worker: thin, each hands its message to ``workers.stages.runner``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import Celery

from workers.captions.remote_index import ENCODE, TASK
from workers.settings.settings import QUEUES
from workers.stages.runner import KINDS, Stages


def register(app: Celery, stages: Callable[[], Stages]) -> None:
    """Give an app the tasks of all stages. ``stages`` is called in the process that runs them, on first use."""

    def add_stage(stage: str) -> None:
        @app.task(name=f"wildtag.{stage}", bind=True, ignore_result=True)
        def run(task: Any, data: bytes) -> None:
            request = task.request
            # what was handed out before has been begun then
            begun = request.retries or bool((request.delivery_info or {}).get("redelivered"))
            stages().run(stage, data, int(begun), (request.properties or {}).get("delivery_tag"))

    def add_probe(queue: str) -> None:
        @app.task(name=f"wildtag.probe.{queue}", ignore_result=True)
        def probe() -> None:
            stages().warm(queue)

    for stage in KINDS:
        add_stage(stage)
    for queue in QUEUES:
        add_probe(queue)

    @app.task(name=TASK, ignore_result=True)
    def captions(request: str, data: bytes) -> None:
        stages().captions(request, data)

    @app.task(name=ENCODE, ignore_result=True)
    def encode(request: str, data: bytes) -> None:
        stages().encode(request, data)
