"""How often a worker started an object: one that ends its workers is ``dead`` in the end, whatever comes between."""

from __future__ import annotations

from tests.contract.lifecycle.test_ledger import REVISION, enter, ref
from workers.lifecycle.ledger import Arrival, Ledger


def attempts(ledger: Ledger) -> int:
    (taken,) = ledger.overdue(1e6, 1e6)
    return taken.attempts


def started(ledger: Ledger, stage: str = "embedding", *, first: bool) -> None:
    """A worker starts with a message. ``first``: it has not been delivered before."""
    assert ledger.advance([ref("a")], REVISION, stage, 200.0, now=100.0, begin=first) != [None]


def put_back(ledger: Ledger, *, begun: bool) -> None:
    ledger.postpone(
        [ref("a")], REVISION, 170.0, "away", now=10.0, own=False, back="begun" if begun else "none"
    )  # fmt: skip


def test_an_object_that_crashes_each_time_it_was_put_back_is_counted(ledger: Ledger) -> None:
    enter(ledger, Arrival(ref("a")))
    for number in (1, 2, 3, 4):
        put_back(ledger, begun=False)  # its stage pauses, since objects crashed one after the other
        started(ledger, first=False)  # it is the trial
        assert ledger.crashed([ref("a")], REVISION, "was ended by SIGSEGV", 100.0, blamed=True)
        assert attempts(ledger) == number


def test_a_message_that_is_put_back_again_and_again_is_one_attempt(ledger: Ledger) -> None:
    enter(ledger, Arrival(ref("a")))
    started(ledger, first=True)
    for stage in ("embedding", "embedding", "retrieval", "scoring"):
        put_back(ledger, begun=True)
        put_back(ledger, begun=True)
        assert attempts(ledger) == 0
        started(ledger, stage, first=False)
        assert attempts(ledger) == 1


def test_what_is_pardoned_is_taken_back_wherever_the_object_is(ledger: Ledger) -> None:
    enter(ledger, Arrival(ref("a")))
    for _ in range(2):
        started(ledger, first=True)
        ledger.crashed([ref("a")], REVISION, "was ended by SIGSEGV", 100.0, blamed=True)
    put_back(ledger, begun=False)
    assert attempts(ledger) == 2
    for left in (1, 0):
        ledger.postpone([ref("a")], REVISION, 170.0, "broken", now=10.0, own=False, back="one")
        assert attempts(ledger) == left
