"""Rates by key and by address: what is counted, what is left, and what must stay possible."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from fastapi import Request

from workers.gateway import rate_limits
from workers.gateway.access import Access, Caller
from workers.gateway.api_keys import ApiKey, Scope
from workers.gateway.problems import Problem
from workers.gateway.rate_limits import Kind, RateLimits, Rates, neighbourhood


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def refused(act: Callable[[], Any]) -> Problem:
    with pytest.raises(Problem) as caught:
        act()
    assert caught.value.status == 429
    return caught.value


def test_a_key_gets_two_seconds_worth_at_once_and_then_its_rate() -> None:
    clock = Clock()
    limits = RateLimits(Rates(requests=5), clock)
    for _ in range(10):
        limits.count("a", Kind.REQUEST)
    problem = refused(lambda: limits.count("a", Kind.REQUEST))
    assert problem.headers == {
        "RateLimit-Policy": '"requests";q=10;w=2', "RateLimit": '"requests";r=0;t=2', "Retry-After": "1",
    }  # fmt: skip
    assert problem.reason == "rate-requests"
    limits.count("b", Kind.REQUEST)  # another key has a bucket of its own
    clock.now += 0.2
    limits.count("a", Kind.REQUEST)
    refused(lambda: limits.count("a", Kind.REQUEST))


def test_expensive_requests_and_uploads_count_twice_and_a_refused_one_not_at_all() -> None:
    limits = RateLimits(Rates(requests=100, uploads=2, expensive=1), Clock())
    for kind, number in ((Kind.EXPENSIVE, 2), (Kind.UPLOAD, 4)):
        for _ in range(number):
            limits.count("a", kind)
        for _ in range(50):
            assert refused(partial(limits.count, "a", kind)).reason == f"rate-{kind.value}"
    assert limits.headers("a", Kind.REQUEST)["RateLimit"].startswith('"requests";r=194;')
    assert limits.headers("a", Kind.EXPENSIVE)["RateLimit"] == '"requests";r=194;t=1, "expensive";r=0;t=2'


def test_who_has_no_requests_left_can_still_be_scraped() -> None:
    limits = RateLimits(Rates(requests=1), Clock())
    limits.charge("a", Kind.UPLOAD, 40)
    refused(lambda: limits.count("a", Kind.REQUEST))
    limits.count("a", Kind.MONITORING)


def test_without_limits_nothing_is_counted_or_said() -> None:
    limits = RateLimits(Rates(), Clock())
    for kind in Kind:
        for _ in range(1000):
            limits.count("a", kind)
        assert limits.headers("a", kind) == {}
    for number in range(1000):
        limits.check_guess("192.0.2.1", bytes([number % 256]))
        limits.guessed("192.0.2.1", bytes([number % 256]))


def test_a_guess_is_counted_once_and_each_address_has_its_own() -> None:
    clock = Clock()
    limits = RateLimits(Rates(guesses=3), clock)
    for number in (1, 1, 2, 2, 3, 1, 3):
        limits.check_guess("192.0.2.1", bytes([number]))
        limits.guessed("192.0.2.1", bytes([number]))
    assert refused(lambda: limits.check_guess("192.0.2.1", b"4")).headers["Retry-After"] == "20"
    limits.check_guess("192.0.2.1", b"\x01")  # an open page whose session has ended asks again
    limits.check_guess("192.0.2.2", b"4")
    clock.now += 20
    limits.check_guess("192.0.2.1", b"4")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("2001:db8:1:2:3::4", "2001:db8:1:2:ffff::1", True), ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
     ("::ffff:192.0.2.1", "192.0.2.1", True), ("192.0.2.1", "192.0.2.2", False),
     ("fe80::1%eth0", "fe80::2%eth1", True),
     ("", "-", False)],
)  # fmt: skip
def test_a_customer_with_many_addresses_is_one(one: str, other: str, same: bool) -> None:
    assert (neighbourhood(one) == neighbourhood(other)) is same


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "KEPT", 100)
    limits = RateLimits(Rates(requests=1, guesses=1), Clock())
    for number in range(150):
        limits.charge(str(number), Kind.REQUEST, 1)
        limits.guessed(str(number), number.to_bytes(4, "big"))
    assert len(limits._guessed) == 100
    assert all(len(one._left) <= 100 for one in limits._of[Kind.REQUEST])


class Keys:
    """Keys of which one is known. ``asked``: how often they were looked up."""

    def __init__(self) -> None:
        self.asked = 0

    def look_up(self, shown: str) -> ApiKey | None:
        self.asked += 1
        return ApiKey("known", "", Scope.WRITE, 0.0) if shown == "right" else None


def request(shown: str, address: str = "192.0.2.1") -> Request:
    headers = [(b"authorization", f"Bearer {shown}".encode()), (b"host", b"h")]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers, "client": (address, 1),
                    "query_string": b"", "scheme": "http", "server": ("h", 80)})  # fmt: skip


def test_guesses_cost_no_lookups_and_lock_out_nobody_who_was_let_in() -> None:
    clock, keys = Clock(), Keys()
    limits = RateLimits(Rates(guesses=5), clock)
    access = Access(keys, None, admin_keys=["an-admin-key-of-tests"], open_=False, limits=limits, clock=clock)  # type: ignore[arg-type]  # what is needed of them

    def asked(shown: str, address: str = "192.0.2.1") -> int:
        try:
            return 200 if isinstance(asyncio.run(access.caller(request(shown, address), Scope.READ)), Caller) else 0
        except Problem as problem:
            return problem.status

    assert asked("right") == asked("an-admin-key-of-tests") == 200
    statuses = [asked(f"wrong {number}") for number in range(100)]
    assert statuses == [401] * 5 + [429] * 95
    assert keys.asked == 6
    clock.now += 3  # longer than a key is believed, and too short for another guess
    assert asked("right") == asked("an-admin-key-of-tests") == 200
    assert asked("wrong 0") == 401
    assert asked("wrong 7") == 429
    assert asked("right", "192.0.2.9") == 200


def test_the_headers_are_structured_fields() -> None:
    limits = RateLimits(Rates(requests=2.5, uploads=0.3), Clock())
    for name, value in limits.headers("a", Kind.UPLOAD).items():
        letters = "qw" if name == "RateLimit-Policy" else "rt"
        item = rf'"[a-z]+";{letters[0]}=\d+;{letters[1]}=\d+'
        assert re.fullmatch(f"{item}, {item}", value)
