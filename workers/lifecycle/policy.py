"""Decides what follows from a fault: a pure table that the workers and the keeper carry out.

==========================================  =====================================================
what happened                               what follows
==========================================  =====================================================
a service is unavailable (``WAIT``)         the worker keeps the batch, waits, and tries again
… still, after ``PATIENCE_S``               the batch returns to its queue
a fault of this batch only (``RETRY``)      retry the batch with exponential backoff
… still, after ``RETRIES`` retries          the ledger waits, then sends each object again
HEAD and GET of an object disagree          the same at once, for that object only
memory was short (``ALONE``)                each object alone; of one object, as above
its captions were dropped (``AGAIN``)       it is submitted again, for those now in use
it cannot be read (``DROP``)                drop it: the ledger sends the objects again
… of another release                        the end of its queue, for a worker of that release
any other error, several objects            each object alone, so that only the faulty one fails
its model fails for this input only         several objects: each alone; one: its attempt counts
any other error, one object                 a ``failed`` record; after a bug, if the model still works
overdue, a service is unavailable           wait, however long: the object is not the cause
overdue, faults of its own for too long     ``dead``, with the last fault
overdue, a worker started it too often      ``dead``: it may crash the worker
… one of both, and it has come to           tagged once more, and finished without its segmentation, with the
segmentation                                reason
overdue, some stage consumes nothing        wait: the object is not the cause
overdue otherwise                           sent again, alone
==========================================  =====================================================
"""

from __future__ import annotations

from dataclasses import dataclass

from workers.errors.consequences import Consequence, of
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
class SubmitAgain:
    """Have the dispatcher submit the objects again, for the captions that are then in use."""


@dataclass(frozen=True)
class Drop:
    """Drop the message; the ledger sends the objects again."""


@dataclass(frozen=True)
class Fail:
    """Write a final record, ``failed``, for the only object. ``bug``: unless the model fails for every object."""

    code: str
    reason: str
    bug: bool = False


@dataclass(frozen=True)
class Blame:
    """The only object is to blame: its attempt counts, and the keeper comes back to it. ``how``: what it met."""

    how: str


@dataclass(frozen=True)
class Dead:
    """Write a final record, ``dead``: inspect and replay."""

    code: str
    reason: str


@dataclass(frozen=True)
class GiveUpSegmentation:
    """Send the object again, alone, and finish it with its tags when it comes to its segmentation."""

    code: str
    reason: str


@dataclass(frozen=True)
class Resend:
    """Send the object again, alone."""


@dataclass(frozen=True)
class Wait:
    """Leave the object until its next deadline."""


def after_error(  # noqa: PLR0911 -- a table
    error: Exception, objects: int, retries: int, *, away: bool = False
) -> Retry | Requeue | Postpone | Split | SubmitAgain | Drop | Fail | Blame:
    """What a worker does after a stage raised. ``away``: it has already waited for an unavailable service."""
    effect = of(error)
    if away and effect.passes:
        return Requeue()
    match effect.consequence:
        case Consequence.AGAIN:
            return SubmitAgain()
        case Consequence.DROP:
            return Drop()
        case Consequence.WAIT | Consequence.RETRY:
            return _later(error, retries)
        case Consequence.ALONE:
            return Split() if objects > 1 else _later(error, retries)
    if objects > 1:
        return Split()
    if effect.consequence is Consequence.ATTEMPT:
        return Blame(str(error))
    if effect.consequence is Consequence.REFUSE:
        return Fail(getattr(error, "code", "refused"), str(error))
    named = f"{type(error).__name__}: {error}"
    return Fail("internal", f"an unexpected error occurred while tagging it: {named}", bug=True)


def _later(error: Exception, retries: int) -> Retry | Postpone:
    # 13.5 s in total: far below any visibility timeout
    pause = min(LONGEST_PAUSE_S, 0.5 * 2**retries)
    return Retry(pause) if retries < RETRIES else Postpone(POSTPONED_S, str(error) or type(error).__name__)


def patience_for(service: str, stage: str, time_limit_s: float) -> float:
    """Seconds that a worker waits for a service with a message in hand; the rest of its time limit is for work."""
    if service not in QUEUES:
        return min(PATIENCE_S, time_limit_s / 4)
    # if the queue itself is unavailable, the message cannot be returned; only segmentation then needs minutes
    return time_limit_s * (0.5 if stage == SEGMENTATION else 0.8)


def after_deadline(
    overdue: Overdue, now: float, *, consuming: bool, max_attempts: int, give_up_s: float, away: str | None = None
) -> Dead | GiveUpSegmentation | Resend | Wait:
    """What the keeper does with an overdue object. ``away``: why a service is unavailable.

    An outage gives up nothing, however long it lasts. What an object itself cannot get is given up ``give_up_s``
    after its first fault, of those that no outage came between.
    """
    if away:
        return Wait()
    give_up = GiveUpSegmentation if overdue.segmented else Dead  # whatever has come so far has tags
    if overdue.fault and overdue.fault_since is not None and now - overdue.fault_since > give_up_s:
        return give_up("gave-up", f"gave up after {give_up_s / 3600:.0f} hours; last error: {overdue.fault}")
    if overdue.attempts >= max_attempts:
        tried = f"{overdue.attempts} attempts, none finished, the last in {overdue.stage}"
        why = f"the worker {overdue.crash}" if overdue.crash else "it may crash the worker"
        return give_up("poisonous", f"{tried}: {why}")
    return Resend() if consuming else Wait()
