"""What grows in a run at a constant rate."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ops.bench.steady import Look, judged


def run(size: Callable[[int], float]) -> list[Look]:
    return [Look(15.0 * n, {"memory gateway MB": size(n), "redis keys": 40.0}, behind=n % 3) for n in range(100)]


def test_what_stays_the_same_with_peaks_did_not_grow() -> None:
    found = judged(run(lambda n: 100.0 + 50 * (n % 10 == 0)))
    assert found["reached"]
    assert found["behind"] == {"median": 1, "most": 2}


def test_a_slow_leak_is_found_in_spite_of_peaks() -> None:
    found = judged(run(lambda n: 100.0 + 0.1 * n + 5 * (n % 7 == 0)))
    assert list(found["grew"]) == ["memory gateway MB"]
    assert found["grew"]["memory gateway MB"] == pytest.approx(0.09, abs=0.02)
    assert not found["reached"]


def test_caches_that_fill_at_the_beginning_are_no_leak() -> None:
    assert judged(run(lambda n: 50.0 + min(n, 9) * 10))["reached"]


def test_a_process_that_was_not_always_there_is_left_out() -> None:
    looks = run(lambda _: 100.0)
    looks[50] = Look(looks[50].seconds, {"redis keys": 40.0}, behind=0)
    assert list(judged(looks)["sizes"]) == ["redis keys"]
