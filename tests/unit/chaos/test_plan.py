"""A plan comes from its seed alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ops.chaos.faults import FAULTS, possible
from ops.chaos.plan import SHARES, Plan, made


def plan(seed: int, strikes: int = 40) -> Plan:
    return made(seed, 500, 600, possible(store=True, disk=True), strikes, 40, 4)


def test_a_seed_gives_the_same_plan_and_another_one_another() -> None:
    assert plan(1) == plan(1)
    assert plan(1) != plan(2)


def test_acts_and_faults_lie_in_the_time_and_faults_do_not_overlap() -> None:
    found = plan(3)
    assert [act.at for act in found.acts] == sorted(act.at for act in found.acts)
    assert all(0 <= act.at <= found.seconds for act in found.acts)
    for strike, after in zip(found.strikes, found.strikes[1:], strict=False):
        assert strike.at + strike.lasts <= after.at
    assert found.strikes[-1].at + found.strikes[-1].lasts <= found.seconds


def test_every_fault_comes_as_often_as_the_others() -> None:
    names = possible(store=True, disk=True)
    counted = Counter(strike.fault for strike in plan(4, 3 * len(names)).strikes)
    assert counted == dict.fromkeys(names, 3)


def test_some_files_are_bad_and_all_kinds_of_acts_occur() -> None:
    acts = plan(5).acts
    assert {act.what for act in acts} == set(SHARES)
    assert 10 <= sum(act.picture < 0 for act in acts) <= 45
    assert len({act.key for act in acts}) == len(acts)


def test_faults_that_need_a_server_or_a_disk_are_left_out_without() -> None:
    assert not [name for name in possible(store=False, disk=False) if name.startswith(("store-", "disk-"))]
    assert "disk-full" in possible(store=False, disk=True)
    assert "store-empty" in possible(store=True, disk=False)


def test_few_strikes_are_of_any_faults() -> None:
    named = {strike.fault for seed in range(40) for strike in plan(seed, 10).strikes}
    assert named == set(possible(store=True, disk=True))


def test_every_fault_is_documented() -> None:
    page = Path(__file__).parents[3].joinpath("docs/explanation/reliability.md").read_text()
    assert [name for name in FAULTS if f"`{name}`" not in page] == []
