"""The attacker of a run is at work until it is told to end, and what it finds is in the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from ops.chaos.attack import Attack
from ops.chaos.attacker import Report, Violation
from tests.eventually import eventually


class MadeUp:
    def __init__(self, *, fails: bool = False) -> None:
        self.report = Report(sent=Counter(bad=3), answers=Counter({404: 3}))
        self.fails = fails
        self.away = True

    def prepare(self) -> None:
        if self.away:
            self.away = False
            raise OSError("the gateway is away")

    def run(self, ended: Callable[[], bool]) -> None:
        if self.fails:
            raise ValueError("a bug")
        self.report.violations.append(Violation("a secret", "GET /", 200))
        eventually(ended, 10)


def test_it_is_patient_and_its_violations_are_named() -> None:
    attack = Attack(MadeUp())
    eventually(lambda: attack.violations, 10)
    attack.stop()
    assert "a secret" in attack.violations[0]
    assert attack.counts() == {"sent": {"bad": 3}, "answers": {"404": 3}}


def test_an_attacker_that_fails_is_a_finding() -> None:
    attack = Attack(MadeUp(fails=True))
    eventually(lambda: attack.violations, 10)
    attack.stop()
    assert "a bug" in attack.violations[0]
