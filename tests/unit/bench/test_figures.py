"""What the benchmarks of the whole stack make of what they saw, and the images that they send."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.bench.latency import figures
from ops.bench.machine import shown, spread
from ops.bench.memory import described, total
from ops.bench.pipeline import steady, summary
from ops.bench.processes import Memory
from ops.bench.soak import Look, growth
from ops.bench.varied import Varied


def test_a_spread_has_the_median_and_both_ends() -> None:
    assert spread([3.0, 1.0, 2.0]) == {"median": 2.0, "least": 1.0, "greatest": 3.0}
    assert shown(spread([3.0, 1.0, 2.0]), "s", 1) == "2.0 (1.0 to 3.0) s"


def test_photographs_are_distinct_and_the_same_in_every_run(tmp_path: Path) -> None:
    files = Varied(side=64).write(tmp_path / "one", 30)
    again = Varied(side=64).write(tmp_path / "two", 30)
    assert len({file.read_bytes() for file in files}) == 30
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in again]
    assert max(Varied(side=64).picture().size) == 64


def test_more_photographs_are_others(tmp_path: Path) -> None:
    pictures = Varied(side=64)
    first, more = pictures.write(tmp_path / "one", 13), pictures.write(tmp_path / "two", 13)
    assert not {file.read_bytes() for file in first} & {file.read_bytes() for file in more}
    assert not {file.name for file in first} & {file.name for file in more}


def test_ratios_are_those_of_the_same_round() -> None:
    def side(rate: float, bare: float, redis: float) -> dict[str, object]:
        return {
            "per_s": rate, "steady_per_s": None, "bare_per_s": bare, "of_bare": rate / bare, "of_bare_cpu": 0.5,
            "bare_cpu_ms": 20.0,
            "cpu_ms": {"redis": redis}, "cpu_ms_all": redis, "cpu_ms_outside_embedding": redis,
        }  # fmt: skip

    rounds = [
        {"this": side(80, 100, 1), "against": side(40, 50, 2)},
        {"this": side(20, 25, 1), "against": side(10, 20, 4)},
        {"this": side(90, 100, 1), "against": side(30, 40, 2)},
    ]
    found = summary(rounds)
    assert found["ratio"]["per_s"] == {"median": 2.0, "least": 2.0, "greatest": 3.0}
    assert found["ratio"]["cpu_ms_outside_embedding"]["median"] == 0.5
    assert found["this"]["of_bare"] == {"median": 0.8, "least": 0.8, "greatest": 0.9}
    assert found["this"]["cpu_ms"] == {"redis": 1}
    assert "steady_per_s" not in found["this"]


def test_the_steady_rate_leaves_out_the_first_and_the_last_tenth() -> None:
    seen = [(0.0, 0), (1.0, 0), (1.2, 10), (2.2, 90), (9.0, 100)]
    assert steady(seen, 100) == pytest.approx(80)
    assert steady([(0.0, 0), (1.0, 100)], 100) is None


def test_the_time_beyond_the_encoder_is_that_of_each_image() -> None:
    def took(whole: float, embedding: float) -> tuple[float, dict[str, float]]:
        return whole, {"embedding": embedding, "scoring": 2.0, "total": whole - 5}

    found = figures("upload", [took(100.0, 80.0), took(50.0, 10.0), took(60.0, 50.0)])
    assert found["over"]["p50"] == 20.0
    assert found["over"]["p99"] == pytest.approx(40, abs=1)
    assert found["reached"] == {"p50": True, "p99": True}
    assert found["stages"] == {"embedding": 50.0, "scoring": 2.0}
    assert (found["between"], found["around"]) == (13.0, 5.0)
    assert not figures("upload", [took(100.0, 60.0)])["reached"]["p50"]


def test_a_process_that_grows_is_seen_and_redis_is_given_by_record() -> None:
    looks = [
        Look(images, images / 50, {"worker": Memory(100 + images / 500, 50), "redis": Memory(images, images)},
             2000 * images)
        for images in range(0, 10_001, 100)
    ]  # fmt: skip
    found = growth(looks, settled=1000)
    assert found["processes"]["worker"]["pss"]["after_settled"] == pytest.approx(103)
    assert found["processes"]["worker"]["pss"]["at_end"] == pytest.approx(119)
    assert found["worst_pss_growth"] == pytest.approx(119 / 103, abs=1e-3)
    assert found["worst_own_growth"] == 1.0
    assert found["redis_bytes_a_record"] == 2000
    assert found["per_s"] == [50.0] * 10
    assert found["reached"]


def test_the_memory_of_a_stack_is_the_sum_of_its_services() -> None:
    look = {"a": Memory(10.0, 6.0), "b": Memory(5.5, 5.0)}
    assert total(look) == 15.5
    assert described(look)["own"] == 11.0
