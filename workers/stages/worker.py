"""The object that the Celery tasks of one worker process call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from workers.redis.heartbeats import Health
from workers.stages.rpc_server import RpcServer
from workers.stages.runner import StageRunner
from workers.supervision.memory import give_back


@dataclass(frozen=True)
class StageWorker:
    """``loads``: by queue, a function that loads the models for it."""

    runner: StageRunner
    rpc: RpcServer
    health: Health
    loads: Mapping[str, Callable[[], object]]

    def warm(self, queue: str) -> None:
        """Load the models for a queue, and give back the memory that loading took. Then send a heartbeat."""
        self.loads[queue]()
        give_back()
        self.health.beat(queue)
