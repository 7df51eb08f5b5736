"""Shows what is measured, refused and chosen, with a made-up clock and made-up encoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tasks.encoders.protocols import Floats, Space
from tasks.encoders.requirements import ModelNotLoaded
from tasks.encoders.runtimes import (
    ONNX_FLOAT32,
    ONNX_INT8,
    SIDES,
    TORCH_BFLOAT16,
    TORCH_FLOAT32,
    Plan,
    in_space,
    usual,
)
from tasks.encoders.tuning.remembered import Measured
from tasks.encoders.tuning.subjects import candidates, photographs, sample_captions
from tasks.encoders.tuning.tuner import BETTER, TOO_LONG, Encode, Limits, Subject, chosen, measure

EXACT, FAST, ONNX = Plan(TORCH_FLOAT32, 4), Plan(TORCH_BFLOAT16, 4), Plan(ONNX_FLOAT32, 2, lanes=2)
LIMITS = Limits(seconds=1.0, rounds=2)


@dataclass
class World:
    """A clock, and encoders that take so many seconds a row and turn vectors by so many radians."""

    seconds: dict[Plan, float]
    angles: dict[Plan, float] = field(default_factory=dict)
    broken: dict[Plan, Exception] = field(default_factory=dict)
    loaded: list[Plan] = field(default_factory=list)
    now: float = 0.0

    def clock(self) -> float:
        return self.now

    def load(self, plan: Plan) -> Encode:
        self.loaded.append(plan)
        if plan in self.broken:
            raise self.broken[plan]
        angle = self.angles.get(plan, 0.0)

        def encode(rows: Sequence[Any]) -> Floats:
            self.now += self.seconds[plan] * len(rows)
            return np.array([[np.cos(angle), np.sin(angle)]] * len(rows), np.float32)

        return encode

    def subject(self, *plans: Plan, usual: Plan = EXACT, refused: dict[str, str] | None = None) -> Subject:
        return Subject("image", self.load, ["a", "b", "c"], EXACT, usual, plans, refused or {})

    def measured(self, subject: Subject, limits: Limits = LIMITS) -> list[Measured]:
        return list(measure(subject, limits, self.clock))


def test_rates_are_rows_by_the_clock_and_the_fastest_is_chosen() -> None:
    world = World({EXACT: 0.1, FAST: 0.05, ONNX: 0.02})
    subject = world.subject(EXACT, FAST, ONNX)
    found = world.measured(subject)
    np.testing.assert_allclose([one.rate for one in found], [10, 20, 50])
    assert not any(one.refused for one in found)
    assert chosen(subject, found) == ONNX


def test_other_work_on_the_machine_does_not_mislead_the_choice() -> None:
    """While the last candidate is measured, all takes four times as long."""
    world = World({EXACT: 0.1, FAST: 0.08, ONNX: 0.05})
    subject = world.subject(EXACT, FAST, ONNX)
    found = []
    for one in measure(subject, LIMITS, world.clock):
        found.append(one)
        if one.plan == FAST:
            world.seconds = {plan: 4 * seconds for plan, seconds in world.seconds.items()}
    assert [round(one.times, 2) for one in found] == [1.0, 1.25, 2.0]
    assert found[2].rate < found[0].rate
    assert chosen(subject, found) == ONNX


def test_without_the_usual_plan_rates_are_compared() -> None:
    world = World({EXACT: 0.1, ONNX: 0.05}, broken={FAST: RuntimeError("no such instruction")})
    subject = world.subject(FAST, EXACT, ONNX, usual=FAST)
    found = world.measured(subject)
    assert [one.times for one in found] == [0, 0, 0]
    assert chosen(subject, found) == ONNX


def test_a_usual_plan_that_loads_and_cannot_encode_ends_nothing() -> None:
    world = World({EXACT: 0.1, ONNX: 0.05})  # there is no time for what FAST encodes: that raises
    subject = world.subject(FAST, EXACT, ONNX, usual=FAST)
    found = world.measured(subject)
    assert found[0].refused.startswith("failed: KeyError")
    assert [one.times for one in found] == [0, 0, 0]
    assert chosen(subject, found) == ONNX


def test_a_slow_plan_is_measured_in_fewer_rounds() -> None:
    world = World({EXACT: 5.0, ONNX: 1.0})
    found = world.measured(world.subject(EXACT, ONNX), replace(LIMITS, rounds=9, most=40.0))
    assert [one.times for one in found] == [1, 5]
    assert world.now < 200


def test_what_is_not_exact_enough_is_refused_with_its_cosine() -> None:
    world = World({EXACT: 0.1, FAST: 0.01, ONNX: 0.05}, {FAST: 0.05, ONNX: 0.04})
    subject = world.subject(EXACT, FAST, ONNX)
    _, fast, onnx = world.measured(subject)
    assert fast.refused == f"cosine to float32 of {np.cos(0.05):.4f}, less than 0.999"
    assert (onnx.refused, round(onnx.cosine, 4)) == ("", round(np.cos(0.04), 4))
    assert chosen(subject, [fast, onnx]) == ONNX


def test_vectors_that_are_no_numbers_are_refused() -> None:
    world = World({EXACT: 0.1, FAST: 0.01}, {FAST: float("nan")})
    subject = world.subject(EXACT, FAST)
    found = world.measured(subject)
    assert "nan" in found[1].refused
    assert chosen(subject, found) == EXACT


def test_a_difference_may_be_limited_too() -> None:
    world = World({EXACT: 0.1, ONNX: 0.01}, {ONNX: 1e-3})
    _, found = world.measured(world.subject(EXACT, ONNX), replace(LIMITS, difference=1e-4))
    assert found.refused == "difference to the reference of 1.0e-03, more than 1e-04"


def test_what_is_opt_in_is_never_chosen_however_fast() -> None:
    opt_in = Plan(ONNX_INT8, 4)
    world = World({EXACT: 0.1, opt_in: 0.001})
    subject = world.subject(EXACT, opt_in, refused={ONNX_INT8: "a space of its own"})
    found = world.measured(subject)
    assert (found[1].refused, found[1].rate > 0) == ("a space of its own", True)
    assert chosen(subject, found) == EXACT


def test_a_little_faster_is_not_enough() -> None:
    world = World({EXACT: 0.1, ONNX: 0.1 / (BETTER - 0.01)})
    subject = world.subject(EXACT, ONNX)
    assert chosen(subject, world.measured(subject)) == EXACT


def test_a_candidate_that_fails_is_refused_and_the_others_are_measured() -> None:
    other = replace(FAST, rows=8)
    faults = {FAST: RuntimeError("no such instruction\nand more"), ONNX: ModelNotLoaded("cannot be exported")}
    world = World({EXACT: 0.1}, broken=faults)
    subject = world.subject(FAST, other, ONNX, EXACT)
    found = world.measured(subject)
    assert [one.refused for one in found] == [
        "failed: RuntimeError: no such instruction", "cannot be exported", ""
    ]  # fmt: skip
    assert other not in world.loaded, "other sizes of it would fail, too"
    assert chosen(subject, found) == EXACT


def test_at_a_start_only_the_usual_runtime_is_measured_when_there_is_no_time() -> None:
    world = World({EXACT: 1.0, ONNX: 0.1})
    subject = world.subject(EXACT, ONNX)
    usual_one, late = world.measured(subject, replace(LIMITS, deadline=7.0))
    assert (usual_one.refused, late.refused) == ("", TOO_LONG)
    assert ONNX not in world.loaded
    assert chosen(subject, [usual_one, late]) == EXACT


def test_what_no_time_is_left_for_computes_as_usual() -> None:
    world = World({EXACT: 1.0, FAST: 0.1}, now=9.0)
    subject = world.subject(FAST, EXACT, usual=FAST)
    found = world.measured(subject, replace(LIMITS, deadline=9.0))
    assert [one.refused for one in found] == [TOO_LONG, TOO_LONG]
    assert not world.loaded
    assert chosen(subject, found) == FAST


def test_candidates_begin_with_the_usual_sizes_and_int8_is_thorough_only() -> None:
    for side in SIDES:
        short, thorough = (candidates(side, 2, thorough=thorough) for thorough in (False, True))
        for runtime in (TORCH_FLOAT32, TORCH_BFLOAT16, ONNX_FLOAT32):
            assert next(plan for plan in short if plan.runtime == runtime) == usual(runtime, side, 2)
        assert ONNX_INT8 not in {plan.runtime for plan in short}
        assert ONNX_INT8 in {plan.runtime for plan in thorough}
        assert set(short) <= set(thorough)


def test_only_what_is_less_exact_has_a_space_of_its_own() -> None:
    space = Space("clip-8-abc", 8, 1.0)
    assert in_space(space, ONNX_FLOAT32) == in_space(space, "auto") == space
    assert in_space(space, ONNX_INT8).id == "clip-8-abc-int8"


def test_samples_are_real_and_of_many_kinds() -> None:
    images, texts = photographs(), sample_captions()
    assert {image.mode for image in images} == {"RGB"}
    assert max(max(image.size) for image in images) <= 512
    assert len(set(texts)) == len(texts) == 64
