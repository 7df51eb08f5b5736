"""The stages of one process: made anew when another encoder is in use, and ended when the layout is another one.

Those of an encoder that prepares end when it does so no more.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import structlog
from celery.exceptions import Reject

from vectordb.errors import Transient
from workers.redis.encoders import EncoderChanged
from workers.redis.layout import OtherLayout
from workers.stages.worker import StageWorker

log = structlog.get_logger()


def end_worker() -> None:
    """End the worker whose child this process is, after the tasks in progress."""
    os.kill(os.getppid(), signal.SIGTERM)


class CurrentWorker:
    """Called for each task. Raises ``Reject``, which returns the message to its queue, if it must not be handled."""

    def __init__(
        self,
        make: Callable[[], tuple[StageWorker, Callable[[], object]]],
        look: Callable[[], str],
        end: Callable[[], object] = end_worker,
    ) -> None:
        """``make``: makes the stages, and what closes their indexes. ``look``: see ``Encoders.look``.

        It may raise ``EncoderChanged``, too.
        """
        self._make = make
        self._look = look
        self._end = end
        self._made: tuple[StageWorker, Callable[[], object]] | None = None
        self._space = ""

    def __call__(self) -> StageWorker:
        """The stages for the encoder in use."""
        space = self._space
        try:
            space = self._look()
        except (OtherLayout, EncoderChanged) as exc:
            log.error("this worker ends", reason=str(exc))  # noqa: TRY400 -- the reason says all
            self._end()
            raise Reject(str(exc), requeue=True) from exc
        except Transient:
            pass  # each task waits by itself for the end of an outage
        if self._made is not None and space != self._space:
            log.info("the encoder was changed", space=space, then="models are loaded again")
            worker, close = self._made
            worker.overlap.settle()
            self._made = None
            close()
        if self._made is None:
            self._made, self._space = self._make(), space
        return self._made[0]
