"""Decides what follows from a fault: a pure table that the workers and the keeper carry out.

==========================================  =====================================================
what happened                               what follows
==========================================  =====================================================
``Transient``: a service is unavailable     the worker keeps the batch, waits, and tries again
… still, after ``PATIENCE_S``               the batch returns to its queue
``Transient`` of this batch only            retry the batch with exponential backoff
… still, after ``RETRIES`` retries          the ledger waits, then sends each object again
HEAD and GET of an object disagree          the same at once, for that object only
``UnreadableMessage``                       drop it: the ledger sends the objects again
… of another release                        the end of its queue, for a worker of that release
any other error, several objects            each object alone, so that only the faulty one fails
any other error, one object                 a ``failed`` record
overdue, transient faults for too long      ``dead``, with the last fault
overdue, a service is unavailable           wait: the object is not the cause
overdue, a worker started it too often      ``dead``: it may crash the worker
overdue, some stage consumes nothing        wait: the object is not the cause
overdue otherwise                           sent again, alone
==========================================  =====================================================
"""

from __future__ import annotations

from dataclasses import dataclass

from tasks.messages import UnreadableMessage
from vectordb.errors import Permanent, Transient
from workers.lifecycle.ledger import Overdue
from workers.settings.dependencies import QUEUES
from workers.settings.settings import SEGMENTATION

RETRIES = 8
LONGEST_PAUSE_S = 2.0  # between two retries: a longer pause would delay objects after the fault has passed
PATIENCE_S = 20.0  # how long a worker waits for a service with a batch in hand; see ``patience_for``
POSTPONED_S = 30.0  # until the ledger retries an object after a transient fault


@dataclass(frozen=True)
class Retry:
    """Retry the message after ``pause`` seconds."""

    pause: float


@dataclass(frozen=True)
class Requeue:
    """Return the message to the head of its queue."""


@dataclass(frozen=True)
class Postpone:
    """The ledger retries the objects after ``pause`` seconds."""

    pause: float
    fault: str


@dataclass(frozen=True)
class Split:
    """Send every object again, from the first stage and alone."""


@dataclass(frozen=True)
class Drop:
    """Drop the message; the ledger sends the objects again."""


@dataclass(frozen=True)
class Fail:
    """Write a final record, ``failed``, for the only object."""

    code: str
    reason: str


@dataclass(frozen=True)
class Dead:
    """Write a final record, ``dead``: inspect and replay."""

    code: str
    reason: str


@dataclass(frozen=True)
class Resend:
    """Send the object again, alone."""


@dataclass(frozen=True)
class Wait:
    """Leave the object until its next deadline."""


def after_error(
    error: Exception, objects: int, retries: int, *, away: bool = False
) -> Retry | Requeue | Postpone | Split | Drop | Fail:
    """What a worker does after a stage raised. ``away``: it has already waited for an unavailable service."""
    if isinstance(error, Transient):
        if away:
            return Requeue()
        # 13.5 s in total: far below any visibility timeout
        pause = min(LONGEST_PAUSE_S, 0.5 * 2**retries)
        return Retry(pause) if retries < RETRIES else Postpone(POSTPONED_S, str(error))
    if isinstance(error, UnreadableMessage):
        return Drop()
    if objects > 1:
        return Split()
    if isinstance(error, Permanent):
        return Fail(getattr(error, "code", "refused"), str(error))
    return Fail("internal", f"an unexpected error occurred while tagging it: {type(error).__name__}: {error}")


def patience_for(service: str, stage: str, time_limit_s: float) -> float:
    """Seconds that a worker waits for a service with a message in hand; the rest of its time limit is for work."""
    if service not in QUEUES:
        return min(PATIENCE_S, time_limit_s / 4)
    # if the queue itself is unavailable, the message cannot be returned; only segmentation then needs minutes
    return time_limit_s * (0.5 if stage == SEGMENTATION else 0.8)


def after_deadline(
    overdue: Overdue, now: float, *, consuming: bool, max_attempts: int, give_up_s: float, away: str | None = None
) -> Dead | Resend | Wait:
    """What the keeper does with an overdue object. ``away``: why a service is unavailable."""
    fault = overdue.fault or away
    if fault and now - overdue.accepted_at > give_up_s:
        return Dead("gave-up", f"gave up after {give_up_s / 3600:.0f} hours; last error: {fault}")
    if away:
        return Wait()
    if overdue.attempts >= max_attempts:
        tried = f"{overdue.attempts} attempts, none finished, the last in {overdue.stage}"
        return Dead("poisonous", f"{tried}: it may crash the worker")
    return Resend() if consuming else Wait()
