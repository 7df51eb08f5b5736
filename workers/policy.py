"""What follows from a fault: a pure table, which the workers and the keeper carry out.

==========================================  =====================================================
what happened                               what follows
==========================================  =====================================================
``Transient`` in a stage                    the batch again, with growing pauses
… still, after ``RETRIES`` times            the ledger waits, then sends each object again
HEAD and GET of an object disagree          the same at once, for that object alone
``UnreadableMessage``                       nothing: the ledger sends the objects again
any other error, several objects            each object alone, so that only the guilty one fails
any other error, one object                 a ``failed`` record
overdue, a worker began it too often        ``dead``: it probably kills the worker
overdue, transient faults for too long      ``dead``, with the last fault
overdue, some stage consumes nothing        wait: it is not the object's fault
overdue otherwise                           sent again, alone
==========================================  =====================================================
"""

from __future__ import annotations

from dataclasses import dataclass

from tasks.messages import UnreadableMessage
from vectordb.errors import Permanent, Transient
from workers.ledger import Overdue

RETRIES = 5
POSTPONED_S = 30.0  # until the ledger comes back to an object that a transient fault has stopped


@dataclass(frozen=True)
class Retry:
    """The same message again after ``pause`` seconds."""

    pause: float


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


def after_error(error: Exception, objects: int, retries: int) -> Retry | Postpone | Split | Drop | Fail:
    """What a worker does with a message whose stage raised."""
    if isinstance(error, Transient):
        # 0.5, 1, 2, 4, 8 s: long enough for a restart of a service, far below any visibility timeout
        return Retry(0.5 * 2**retries) if retries < RETRIES else Postpone(POSTPONED_S, str(error))
    if isinstance(error, UnreadableMessage):
        return Drop()
    if objects > 1:
        return Split()
    if isinstance(error, Permanent):
        return Fail(getattr(error, "code", "refused"), str(error))
    return Fail("internal", f"tagging it raised {type(error).__name__}: {error}")


def after_deadline(
    overdue: Overdue, now: float, *, consuming: bool, max_attempts: int, give_up_s: float
) -> Dead | Resend | Wait:
    """What the keeper does with an object whose deadline passed."""
    if overdue.fault and now - overdue.accepted_at > give_up_s:
        return Dead("gave-up", f"tried for {give_up_s / 3600:.0f} hours; at last: {overdue.fault}")
    if overdue.attempts >= max_attempts:
        return Dead("poisonous", f"begun {overdue.attempts} times and never finished; it may kill the worker")
    return Resend() if consuming else Wait()
