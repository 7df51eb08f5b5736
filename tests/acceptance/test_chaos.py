"""Chaos runs: a short one, and longer ones with every fault of each kind of bucket and index."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ops.chaos.faults import possible
from ops.chaos.pictures import PICTURES, bad_files
from ops.chaos.places import Conditions
from ops.chaos.plan import made
from ops.chaos.run import run

pytestmark = pytest.mark.timeout(1800)

SHORT = ["kill", "redis-restart", "network-reset"]
WITHOUT_SEGMENTS = 39  # a seed of a plan in which nobody asks for them, or teaches: that takes most of the time


def chaos(seed: int, seconds: float, faults: list[str], where: Conditions) -> dict[str, Any]:
    """A run in which nothing may be lost."""
    strikes = max(3, round(seconds / 15))
    plan = made(seed, round(seconds), seconds, faults, strikes, PICTURES, len(bad_files()))
    result = run(plan, where, print)
    assert result["good"], json.dumps(result, indent=1)
    assert result["faults"] == strikes
    assert sum(result["states"].values()) == result["in_bucket"]
    return result


def test_nothing_is_lost_in_twenty_seconds_of_chaos(prepared: Path) -> None:
    result = chaos(WITHOUT_SEGMENTS, 20, SHORT, Conditions(prepared, webhooks_fail=0.0, switching=False))
    assert not result["segmented"]


@pytest.mark.long
@pytest.mark.parametrize(("bucket", "index"), [("folder", "embedded"), ("s3", "embedded"), ("folder", "server")])
def test_nothing_is_lost_in_four_minutes_of_every_fault(prepared: Path, bucket: str, index: str) -> None:
    disk = 900 if os.geteuid() == 0 and bucket == "folder" else None  # only root can mount one
    faults = possible(store=bucket == "s3", disk=disk is not None, server=index == "server")
    chaos(2, 240, faults, Conditions(prepared, bucket, disk, webhooks_fail=0.1, index=index))


@pytest.mark.long
def test_nothing_is_lost_in_two_minutes_of_chaos_and_attacks(prepared: Path) -> None:
    faults = possible(store=False, disk=False)
    result = chaos(4, 120, faults, Conditions(prepared, webhooks_fail=0.1, attack=True))
    assert result["attack"]["sent"]
