"""Every row of the table in ``workers.lifecycle.policy``."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from tasks.message_parts import ObjectRef
from tasks.messages import UnreadableMessage
from vectordb.errors import Permanent, Transient
from vectordb.index import IndexMissing
from workers.captions.versions import CaptionsDropped
from workers.lifecycle.ledger import Overdue
from workers.lifecycle.policy import (
    RETRIES,
    Dead,
    Drop,
    Fail,
    Postpone,
    Requeue,
    Resend,
    Retry,
    Split,
    SubmitAgain,
    Wait,
    after_deadline,
    after_error,
)

UNEXPECTED = "an unexpected error occurred while tagging it"


@pytest.mark.parametrize(
    ("error", "objects", "retries", "action"),
    [
        (Transient("away"), 3, 0, Retry(0.5)),
        (Transient("away"), 3, 1, Retry(1.0)),
        (Transient("away"), 3, RETRIES - 1, Retry(2.0)),
        (Transient("away"), 3, RETRIES, Postpone(30.0, "away")),
        (UnreadableMessage("old"), 0, 0, Drop()),
        (Permanent("no"), 2, 0, Split()),
        (ValueError("bug"), 2, 0, Split()),
        (Permanent("no"), 1, 0, Fail("refused", "no")),
        (ValueError("bug"), 1, 0, Fail("internal", f"{UNEXPECTED}: ValueError: bug", bug=True)),
        (MemoryError(), 2, 0, Split()),
        (MemoryError(), 1, 0, Retry(0.5)),
        (MemoryError(), 1, RETRIES, Postpone(30.0, "MemoryError")),
        (OSError(errno.EMFILE, "too many open files"), 1, 0, Retry(0.5)),
        (IndexMissing("no captions"), 1, 0, Retry(0.5)),
        (CaptionsDropped("dropped"), 1, 0, SubmitAgain()),
    ],
)  # fmt: skip
def test_after_error(error: Exception, objects: int, retries: int, action: object) -> None:
    assert after_error(error, objects, retries) == action


def test_an_outage_that_a_worker_waited_for_returns_the_message() -> None:
    for error in (Transient("away"), IndexMissing("no captions"), MemoryError()):
        assert after_error(error, 1, 0, away=True) == Requeue()


def overdue(attempts: int = 0, fault: str | None = None, since: float | None = None) -> Overdue:
    return Overdue(ObjectRef("b", "k", "e"), "s/c", "embedding", attempts, 1000.0, fault, since)


@pytest.mark.parametrize(
    ("late", "now", "consuming", "action"),
    [
        (overdue(0), 1100.0, True, Resend),
        (overdue(3), 1100.0, True, Resend),
        (overdue(4), 1100.0, True, Dead),
        (overdue(0), 1100.0, False, Wait),
        (overdue(0), 10_000.0, False, Wait),
        (overdue(0, "away"), 1100.0, True, Resend),
        (overdue(0, "away"), 5000.0, True, Resend),  # of an outage that is over
        (overdue(0, "odd", 1100.0), 4000.0, True, Resend),
        (overdue(0, "odd", 1100.0), 5000.0, True, Dead),
    ],
)  # fmt: skip
def test_after_deadline(late: Overdue, now: float, consuming: bool, action: type) -> None:
    assert isinstance(after_deadline(late, now, consuming=consuming, max_attempts=4, give_up_s=3600), action)


def test_an_object_whose_message_waits_in_its_queue_waits_too() -> None:
    def action(late: Overdue, *, behind: bool) -> object:
        return after_deadline(late, 5000.0, consuming=True, max_attempts=4, give_up_s=3600, behind=behind)

    assert isinstance(action(replace(overdue(99), put_at=1000.0), behind=True), Wait)
    assert isinstance(action(replace(overdue(4), put_at=1000.0), behind=False), Resend)
    assert isinstance(action(replace(overdue(12), put_at=1000.0), behind=False), Dead)
    assert isinstance(action(replace(overdue(9, "odd", 1.0), put_at=1000.0), behind=True), Dead)


@pytest.mark.parametrize("late", [overdue(9), overdue(9, "away", 1000.0), overdue(9, "odd", 1.0)])
def test_an_outage_of_any_length_gives_up_nothing(late: Overdue) -> None:
    action = after_deadline(late, 1e9, consuming=True, max_attempts=4, give_up_s=3600, away="no answer")
    assert isinstance(action, Wait)
