"""Reports how the models of a worker compute: in its log, and to ``ModelBoard`` for status and metrics."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import ParamSpec, TypeVar

import structlog

from tasks.encoders.protocols import Described
from tasks.model_description import Description
from vectordb.errors import Transient
from workers.redis.models_in_use import ModelBoard

P = ParamSpec("P")
R = TypeVar("R")

log = structlog.get_logger()

RENEW_S = 60.0  # between two reports of the same to the board


class ModelReports:
    """The reports of one process. A model is reported once it is loaded, and again when it computes otherwise."""

    def __init__(
        self, board: ModelBoard, loaded: Callable[[], Mapping[str, object]], clock: Callable[[], float]
    ) -> None:
        """``loaded``: the models that are loaded at present, by their role. Loads none."""
        self._board = board
        self._loaded = loaded
        self._clock = clock
        self._reported: dict[tuple[str, str], tuple[Description, float]] = {}

    def after(self, queue: str, call: Callable[P, R]) -> Callable[P, R]:
        """``call``, followed by a report of the models of this queue."""

        def reporting(*arguments: P.args, **options: P.kwargs) -> R:
            try:
                return call(*arguments, **options)
            finally:
                self.report(queue)

        return reporting

    def report(self, queue: str) -> None:
        """Report what has changed, and renew older reports. An outage of Redis is no fault here."""
        now = self._clock()
        for role, model in self._loaded().items():
            if not isinstance(model, Described):
                continue
            description = model.description
            before, at = self._reported.get((queue, role), (None, 0.0))
            if description == before and now - at < RENEW_S:
                continue
            if description != before:
                shrunk = before is not None and description.batch < before.batch
                said = {name: value for name, value in asdict(description).items() if value != ""}
                why = "the memory of the device was full" if shrunk else "loaded"
                (log.warning if shrunk else log.info)("model", queue=queue, model=role, why=why, **said)
            self._reported[queue, role] = description, now
            with contextlib.suppress(Transient):
                self._board.write(queue, role, description)
