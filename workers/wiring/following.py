"""Adapters of a process that serves on while the encoder is changed: they are made anew at their next use."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

import structlog

from tasks.encoders import space_of
from vectordb.errors import Permanent, Transient
from workers.redis.encoders import ChosenEncoder
from workers.wiring.encoder_in_use import in_use
from workers.wiring.wiring import Wiring

T = TypeVar("T")

log = structlog.get_logger()

LOOK_EVERY_S = 0.2
AHEAD_EVERY_S = 5.0  # between two looks whether another encoder prepares


class CurrentWiring:
    """The adapters for the encoder in use. May be called by several threads."""

    def __init__(self, wiring: Wiring, clock: Callable[[], float] = time.monotonic) -> None:
        """``wiring``: the one that is used until another encoder is. ``clock``: seconds."""
        self._wiring = wiring
        self._encoders = wiring.encoders
        self._clock = clock
        self._looked = float("-inf")
        self._looked_ahead = float("-inf")
        self._ahead: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self) -> Wiring:
        """The adapters; others than before once the encoder was changed. Looks five times a second at most."""
        with self._lock:
            if self._clock() - self._looked >= LOOK_EVERY_S:
                self._looked = self._clock()
                self._look()
                self._look_ahead()
            return self._wiring

    def _look_ahead(self) -> None:
        """Read the space of an encoder that prepares: that imports its library, for which requests would wait."""
        if self._clock() - self._looked_ahead < AHEAD_EVERY_S:
            return
        self._looked_ahead = self._clock()
        with suppress(Transient):
            change = self._encoders.change()
            if change is not None and change.space not in self._ahead:
                self._ahead.add(change.space)
                threading.Thread(target=read_ahead, args=(change,), daemon=True, name="next encoder").start()

    def replaced(self, wiring: Wiring) -> bool:
        """Whether other adapters than these are to be used. Looks now."""
        with self._lock:
            self._look()
            return self._wiring is not wiring

    def _look(self) -> None:
        with suppress(Transient):
            found = self._encoders.look()
            if found and found != self._wiring.space.id:
                self._wiring = Wiring(in_use(self._wiring.settings))


def read_ahead(change: ChosenEncoder) -> None:
    """Read the space of an encoder that prepares. Logs a fault: after the switch it would be one of every request."""
    try:
        found = space_of(change.encoder, change.runtime).id
    except (Transient, Permanent, OSError) as exc:
        log.warning("the encoder that is being prepared cannot be read here", encoder=change.encoder, reason=str(exc))
        return
    if found != change.space:
        log.warning("the encoder that is being prepared is another one here", encoder=change.encoder, space=found)


class _Following:
    def __init__(self, current: CurrentWiring, make: Callable[[Wiring], object]) -> None:
        self._current = current
        self._make = make
        self._of: tuple[Wiring, object] | None = None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._now()[1], name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            wiring, made = self._now()
            try:
                answer = getattr(made, name)(*args, **kwargs)
            except (Transient, Permanent):
                if not self._current.replaced(wiring):
                    raise
            else:
                if not self._current.replaced(wiring):
                    return answer
            # the encoder was changed meanwhile: the answer would be of both
            return getattr(self._now()[1], name)(*args, **kwargs)

        return call

    def _now(self) -> tuple[Wiring, object]:
        wiring, of = self._current(), self._of
        if of is None or of[0] is not wiring:
            of = self._of = wiring, self._make(wiring)
        return of


def following(current: CurrentWiring, make: Callable[[Wiring], T]) -> T:
    """What ``make`` makes for the encoder in use, under one name: its attributes are looked up at each use.

    A call during which the encoder is changed is repeated for the other one, so it must bear that.
    """
    return cast("T", _Following(current, make))
