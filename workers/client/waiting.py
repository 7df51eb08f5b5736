"""Pauses before a request is sent again: as ``Retry-After`` says, otherwise growing, with jitter."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import tenacity

from vectordb.errors import Transient
from workers.client.errors import ApiError

FIRST_S, MOST_S, JITTER_S = 0.2, 5.0, 0.3  # pauses without Retry-After
SOONEST_S = 0.1  # minimum pause before a retry

log = logging.getLogger("workers.client")


@dataclass(frozen=True)
class Waiting:
    """A pause. ``seconds``: of the pause. ``attempt``: the number of the next one. ``left``: seconds of patience.

    ``error``: why the request is sent again.
    """

    seconds: float
    attempt: int
    left: float
    error: Transient

    def __str__(self) -> str:
        return (
            f"{self.error}; attempt {self.attempt} follows in {self.seconds:.2g} s, the last within {self.left:.0f} s"
        )


def attempts(patience: float, on_wait: Callable[[Waiting], object] | None) -> Iterator[tenacity.AttemptManager]:
    """The attempts of one request within ``patience`` seconds; one only without patience."""

    def announce(state: tenacity.RetryCallState) -> None:
        error = state.outcome and state.outcome.exception()
        assert isinstance(error, Transient)  # noqa: S101 -- for mypy: only those are retried
        left = patience - (state.seconds_since_start or 0.0)
        waiting = Waiting(state.upcoming_sleep, state.attempt_number + 1, max(0.0, left), error)
        log.info("%s", waiting)
        if on_wait is not None:
            on_wait(waiting)

    return iter(tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda exc: _passes(exc, patience)),
        wait=_pause,
        stop=tenacity.stop_before_delay(patience) if patience > 0 else tenacity.stop_after_attempt(1),
        before_sleep=announce,
        reraise=True,
    ))  # fmt: skip


def _passes(exc: BaseException, patience: float) -> bool:
    if not isinstance(exc, Transient):
        return False
    return not isinstance(exc, ApiError) or exc.retry_after is None or exc.retry_after <= patience


_growing = tenacity.wait_exponential_jitter(max=MOST_S, jitter=JITTER_S, multiplier=FIRST_S)


def _pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome and state.outcome.exception()
    if isinstance(error, ApiError) and error.retry_after is not None:
        return max(error.retry_after, SOONEST_S)
    return _growing(state)
