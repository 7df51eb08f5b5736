"""The object that the Celery tasks of one worker process call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import structlog

from vectordb.errors import Transient
from workers.redis.heartbeats import Health
from workers.settings.settings import STAGES
from workers.stages.guard import UNGUARDED, Guard
from workers.stages.message_overlap import MessageOverlap
from workers.stages.rpc_server import RpcServer
from workers.stages.runner import StageRunner
from workers.supervision.memory import give_back

log = structlog.get_logger()

RPC = "rpc"


@dataclass(frozen=True)
class StageWorker:
    """``loads``: by queue, a function that loads the models for it. ``overlap``: of the messages of embedding.

    Everything else begins when the last message of embedding has ended, so that it shares no model with it, and so
    that a probe which is answered shows that nothing hangs.
    """

    runner: StageRunner
    rpc: RpcServer
    health: Health
    loads: Mapping[str, Callable[[], object]]
    overlap: MessageOverlap
    guard: Guard = UNGUARDED

    def run(self, stage: str, data: bytes, retries: int, delivery: str | None) -> object:
        """See ``StageRunner.run``. A message of embedding may end later, while the next one has begun."""
        run = partial(self.runner.run, stage, data, retries, delivery)
        if stage == STAGES[0]:
            return self.overlap.run(run)
        self.overlap.settle()
        return run()

    def serve(self, handler: Callable[[RpcServer], Callable[[str, bytes], None]], request: str, data: bytes) -> None:
        """Handle an RPC request. If it ends this process, its successor answers it."""
        self.overlap.settle()
        with self.guard.holding(RPC, request=request) if request else nullcontext():
            handler(self.rpc)(request, data)

    def warm(self, queue: str) -> None:
        """Load the models for a queue, and give back the memory that loading took. Then send a heartbeat.

        Sends one also if a service is away: the worker consumes its queue, and another one in its place would find
        the same. An orchestrator that restarts what sends no heartbeat would only delay the end of the outage.
        """
        self.overlap.settle()
        try:
            self.guard.require(queue)
            with self.guard.testing(queue):
                self.loads[queue]()
        except Transient as exc:
            if exc.service is None:
                raise
            log.warning("not loaded, a service is away", queue=queue, service=exc.service, reason=str(exc))
        give_back()
        self.health.beat(queue)
