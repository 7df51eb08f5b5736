"""Chaos runs: a short one, and longer ones with every fault of each kind of bucket and index."""

from __future__ import annotations

import json
import os
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ops.chaos.faults import possible
from ops.chaos.pictures import PICTURES, bad_files
from ops.chaos.places import Conditions
from ops.chaos.plan import SEGMENTED, SHARES, Plan, made
from ops.chaos.run import run

pytestmark = pytest.mark.timeout(1800)

SHORT = ["kill", "redis-restart", "network-reset"]


def planned(seed: int, seconds: float, faults: list[str]) -> Plan:
    """An act a second, and four faults a minute."""
    strikes = max(3, round(seconds / 15))
    return made(seed, round(seconds), seconds, faults, strikes, PICTURES, len(bad_files()))


def short_plan() -> Plan:
    """One of twenty seconds in which nobody teaches, or asks for segments: that takes most of the time."""
    plans = (planned(seed, 20, SHORT) for seed in count())
    return next(plan for plan in plans if (
        {act.what for act in plan.acts} == SHARES.keys() - {"teach", "switch"}
        and all(act.what != "upload" or act.variant >= SEGMENTED for act in plan.acts)
    ))  # fmt: skip


def chaos(plan: Plan, where: Conditions) -> dict[str, Any]:
    """A run in which nothing may be lost."""
    result = run(plan, where, print)
    assert result["good"], json.dumps(result, indent=1)
    assert result["faults"] == len(plan.strikes)
    assert sum(result["states"].values()) == result["in_bucket"]
    return result


def test_nothing_is_lost_in_twenty_seconds_of_chaos(prepared: Path) -> None:
    result = chaos(short_plan(), Conditions(prepared, webhooks_fail=0.0, switching=False))
    assert not result["segmented"]


@pytest.mark.long
@pytest.mark.parametrize(("bucket", "index"), [("folder", "embedded"), ("s3", "embedded"), ("folder", "server")])
def test_nothing_is_lost_in_four_minutes_of_every_fault(prepared: Path, bucket: str, index: str) -> None:
    disk = 900 if os.geteuid() == 0 and bucket == "folder" else None  # only root can mount one
    faults = possible(store=bucket == "s3", disk=disk is not None, server=index == "server")
    chaos(planned(2, 240, faults), Conditions(prepared, bucket, disk, webhooks_fail=0.1, index=index))


@pytest.mark.long
def test_nothing_is_lost_in_two_minutes_of_chaos_and_attacks(prepared: Path) -> None:
    faults = possible(store=False, disk=False)
    result = chaos(planned(4, 120, faults), Conditions(prepared, webhooks_fail=0.1, attack=True))
    assert result["attack"]["sent"]
