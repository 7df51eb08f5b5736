"""What logs and traces say of a message: its stage, its objects, and what became of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog
from structlog.contextvars import bind_contextvars, bound_contextvars, unbind_contextvars

from tasks.message_parts import ObjectRef
from workers.stages.tally import Tally
from workers.telemetry.spans import Attributes
from workers.telemetry.tracing import spans

log = structlog.get_logger()

REQUESTS = 32  # that a line names


@contextmanager
def reported(stage: str, outcome: Tally) -> Iterator[Callable[[Sequence[ObjectRef]], None]]:
    """Lines in the block name the stage and the requests of the message; at its end follow a line and the spans.

    Gives what is to be called with the objects of the message.
    """
    began = time.time()
    known: list[ObjectRef] = []

    def report(objects: Sequence[ObjectRef]) -> None:
        known[:] = objects
        requests = list(dict.fromkeys(ref.request for ref in objects if ref.request))
        bind_contextvars(objects=len(objects), **({"requests": requests[:REQUESTS]} if requests else {}))

    with bound_contextvars(stage=stage):
        error = ""
        try:
            yield report
        except BaseException as exc:
            error = type(exc).__name__
            if not isinstance(exc, Exception):
                outcome.say(f"the process is ended ({error})")
            raise
        finally:
            ended = time.time()
            log.info("message processed", outcome=repr(outcome), seconds=round(ended - began, 4))
            traces = {ref.id: ref.origin.trace for ref in known if ref.origin is not None and ref.origin.trace}
            unbind_contextvars("objects", "requests")
            if traces:
                attributes: Attributes = {"wildtag.stage": stage, "wildtag.objects": len(known)}
                spans().batch(stage, traces, began, ended, attributes, error)
