"""The result of a task says what became of the objects of its message."""

from __future__ import annotations

from celery.utils.saferepr import saferepr

from workers.stages.tally import Tally, counting, current


def test_outcomes_are_counted_with_their_reasons() -> None:
    with counting() as tally:
        current().add("done", 2)
        current().add("failed", 1, ["damaged"])
        current().add("postponed", 0)
    assert saferepr(tally) == "2 done, 1 failed: damaged"


def test_the_most_frequent_reasons_come_first_and_others_are_left_out() -> None:
    tally = Tally()
    tally.add("failed", 6, ["a", "b", "b", "c", "d", "d"])
    tally.say("retry after\n  an error")
    assert repr(tally) == "6 failed: b, d, a, …; retry after an error"


def test_without_objects_there_was_nothing_to_do() -> None:
    with counting() as tally:
        pass
    assert repr(tally) == "nothing to do"
    current().add("done", 1)  # of no message
    assert repr(tally) == "nothing to do"
