"""What an answer leads to, and when the next attempt is made."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.notifying.plan import Answer, Plan, Verdict
from workers.notifying.posting import retry_after

NOW = 1_700_000_000.0
MIDDLE = 0.5  # chance that leaves a wait as it is
PLAN = Plan(attempts=10)


def test_ten_attempts_take_about_a_day() -> None:
    waits = [PLAN.wait(failed, MIDDLE) for failed in range(1, 10)]
    assert waits[0] == 5
    assert waits == sorted(waits)
    assert 20 * 3600 < sum(waits) < 28 * 3600


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_wait_is_never_far_from_the_usual_one_nor_beyond_a_day_and_its_jitter(failed: int, chance: float) -> None:
    usual = PLAN.wait(failed, MIDDLE)
    assert 0.8 * usual <= PLAN.wait(failed, chance) * 1.000001
    assert PLAN.wait(failed, chance) <= 1.200001 * usual <= 1.21 * 86_400


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_a_delivery(status: int) -> None:
    assert PLAN.verdict(Answer(status), 0, NOW, MIDDLE) == Verdict("delivered")


@pytest.mark.parametrize("status", [None, 301, 302, 400, 401, 404, 408, 429, 500, 502, 503, 504])
def test_everything_else_is_tried_again_and_dead_after_the_last_attempt(status: int | None) -> None:
    assert PLAN.verdict(Answer(status), 1, NOW, MIDDLE) == Verdict("retried", NOW + 5)
    assert PLAN.verdict(Answer(status), 10, NOW, MIDDLE).outcome == "dead"


def test_who_is_gone_is_not_asked_twice() -> None:
    assert PLAN.verdict(Answer(410), 1, NOW, MIDDLE) == Verdict("dead")


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_asks_for_time_gets_it_up_to_a_day(status: int) -> None:
    assert PLAN.verdict(Answer(status, retry_after=100), 1, NOW, MIDDLE).at == NOW + 100
    assert PLAN.verdict(Answer(status, retry_after=1), 1, NOW, MIDDLE).at == NOW + 5
    assert PLAN.verdict(Answer(status, retry_after=10**9), 1, NOW, MIDDLE).at == NOW + 86_400


def test_only_who_asks_for_time_holds_up_everything_and_not_for_long() -> None:
    assert Answer(429, retry_after=3).hold == 3
    assert Answer(503, retry_after=9999).hold == 60
    assert Answer(500, retry_after=3).hold == 0
    assert Answer(429).hold == 0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0), ("", 0), ("7", 7), (" 120 ", 120), ("-1", 0), ("soon", 0), ("9" * 400, 0),
        (format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True), 90),
        (format_datetime(datetime.fromtimestamp(NOW - 90, UTC), usegmt=True), 0),
    ],
)  # fmt: skip
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float) -> None:
    assert retry_after(header, NOW) == pytest.approx(seconds)


def test_an_answer_is_told_in_a_line() -> None:
    assert str(Answer(500, "out of order")) == "HTTP 500: out of order"
    assert str(Answer(302)) == "HTTP 302 (redirects are not followed)"
    assert str(Answer(None, "no answer within 15 s")) == "no answer within 15 s"
