"""Every row of the table in ``workers.lifecycle.policy``."""

from __future__ import annotations

import pytest

from tasks.message_parts import ObjectRef
from tasks.messages import UnreadableMessage
from vectordb.errors import Permanent, Transient
from workers.lifecycle.ledger import Overdue
from workers.lifecycle.policy import (
    RETRIES,
    Dead,
    Drop,
    Fail,
    Postpone,
    Resend,
    Retry,
    Split,
    Wait,
    after_deadline,
    after_error,
)


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
        (ValueError("bug"), 1, 0, Fail("internal", "an unexpected error occurred while tagging it: ValueError: bug")),
    ],
)  # fmt: skip
def test_after_error(error: Exception, objects: int, retries: int, action: object) -> None:
    assert after_error(error, objects, retries) == action


def overdue(attempts: int = 0, fault: str | None = None) -> Overdue:
    return Overdue(ObjectRef("b", "k", "e"), "s/c", "embedding", attempts, 1000.0, fault)


@pytest.mark.parametrize(
    ("late", "now", "consuming", "action"),
    [
        (overdue(0), 1100.0, True, Resend),
        (overdue(3), 1100.0, True, Resend),
        (overdue(4), 1100.0, True, Dead),
        (overdue(0), 1100.0, False, Wait),
        (overdue(0), 10_000.0, False, Wait),
        (overdue(0, "away"), 1100.0, True, Resend),
        (overdue(0, "away"), 5000.0, True, Dead),
    ],
)  # fmt: skip
def test_after_deadline(late: Overdue, now: float, consuming: bool, action: type) -> None:
    assert isinstance(after_deadline(late, now, consuming=consuming, max_attempts=4, give_up_s=3600), action)
