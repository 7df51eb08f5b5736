"""What follows from a fault: a pure table, which the workers and the keeper carry out.

==========================================  =====================================================
what happened                               what follows
==========================================  =====================================================
``Transient``: a service is away            the worker waits for it with the batch, and goes on
… still, after ``PATIENCE_S``               the batch back to its queue
``Transient`` of this batch alone           the batch again, with growing pauses
… still, after ``RETRIES`` times            the ledger waits, then sends each object again
HEAD and GET of an object disagree          the same at once, for that object alone
``UnreadableMessage``                       nothing: the ledger sends the objects again
any other error, several objects            each object alone, so that only the guilty one fails
any other error, one object                 a ``failed`` record
overdue, transient faults for too long      ``dead``, with the last fault
overdue, a service is away                  wait: it is not the object's fault
overdue, a worker began it too often        ``dead``: it probably kills the worker
overdue, some stage consumes nothing        wait: it is not the object's fault
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
LONGEST_PAUSE_S = 2.0  # between two tries: whoever waits for more waits too long when the fault has passed
PATIENCE_S = 20.0  # that a worker waits with a batch for a service; see ``patience_for``
POSTPONED_S = 30.0  # until the ledger comes back to an object that a transient fault has stopped


@dataclass(frozen=True)
class Retry:
    """The same message again after ``pause`` seconds."""

    pause: float


@dataclass(frozen=True)
class Requeue:
    """The same message again, at the head of its queue."""


@dataclass(frozen=True)
class Postpone:
    """The ledger comes back to the objects after ``pause`` seconds."""

    pause: float
    fault: str


@dataclass(frozen=True)
class Split:
    """Every object again, from the start and alone."""


@dataclass(frozen=True)
class Drop:
    """Nothing; the ledger will send the objects again."""


@dataclass(frozen=True)
class Fail:
    """A final record for the one object."""

    code: str
    reason: str


@dataclass(frozen=True)
class Dead:
    """A final record, ``dead``: inspect and replay."""

    code: str
    reason: str


@dataclass(frozen=True)
class Resend:
    """Send the object again, alone."""


@dataclass(frozen=True)
class Wait:
    """Leave it until its next deadline."""


def after_error(
    error: Exception, objects: int, retries: int, *, away: bool = False
) -> Retry | Requeue | Postpone | Split | Drop | Fail:
    """What a worker does with a message whose stage raised. ``away``: a service was waited for, and did not come."""
    if isinstance(error, Transient):
        if away:
            return Requeue()
        # 13.5 s in all: far below any visibility timeout
        pause = min(LONGEST_PAUSE_S, 0.5 * 2**retries)
        return Retry(pause) if retries < RETRIES else Postpone(POSTPONED_S, str(error))
    if isinstance(error, UnreadableMessage):
        return Drop()
    if objects > 1:
        return Split()
    if isinstance(error, Permanent):
        return Fail(getattr(error, "code", "refused"), str(error))
    return Fail("internal", f"tagging it raised {type(error).__name__}: {error}")


def patience_for(service: str, stage: str, time_limit_s: float) -> float:
    """Seconds that a worker waits for a service with a message at hand; the rest of its time limit is for work."""
    if service not in QUEUES:
        return min(PATIENCE_S, time_limit_s / 4)
    # while even the queue is away there is nowhere to put it back to; only segmentation needs minutes afterwards
    return time_limit_s * (0.5 if stage == SEGMENTATION else 0.8)


def after_deadline(
    overdue: Overdue, now: float, *, consuming: bool, max_attempts: int, give_up_s: float, away: str | None = None
) -> Dead | Resend | Wait:
    """What the keeper does with an object whose deadline passed. ``away``: why a service cannot be reached."""
    fault = overdue.fault or away
    if fault and now - overdue.accepted_at > give_up_s:
        return Dead("gave-up", f"tried for {give_up_s / 3600:.0f} hours; at last: {fault}")
    if away:
        return Wait()
    if overdue.attempts >= max_attempts:
        return Dead("poisonous", f"begun {overdue.attempts} times and never finished; it may kill the worker")
    return Resend() if consuming else Wait()
