"""Chaos runs: a short one of each kind of bucket, and longer ones with every fault."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ops.chaos.faults import possible
from ops.chaos.pictures import PICTURES, bad_files
from ops.chaos.plan import made
from ops.chaos.places import Conditions
from ops.chaos.run import run

pytestmark = pytest.mark.timeout(900)

SHORT = ["kill", "redis-restart", "network-reset"]


def chaos(
    prepared: Path, seed: int, seconds: float, faults: list[str], bucket: str, disk: int | None = None
) -> dict[str, Any]:
    """A run in which nothing may be lost."""
    strikes = max(3, round(seconds / 10))
    plan = made(seed, round(seconds), seconds, faults, strikes, PICTURES, len(bad_files()))
    result = run(plan, Conditions(prepared, bucket, disk, webhooks_fail=0.0), print)
    assert result["good"], json.dumps(result, indent=1)
    assert result["faults"] == strikes
    assert sum(result["states"].values()) == result["in_bucket"]
    return result


def test_nothing_is_lost_in_twenty_seconds_of_chaos(prepared: Path) -> None:
    chaos(prepared, 1, 20, SHORT, "folder")


@pytest.mark.long
@pytest.mark.parametrize("bucket", ["folder", "s3"])
def test_nothing_is_lost_in_two_minutes_of_every_fault(prepared: Path, bucket: str) -> None:
    disk = 900 if os.geteuid() == 0 and bucket == "folder" else None  # only root can mount one
    chaos(prepared, 2, 120, possible(store=bucket == "s3", disk=disk is not None), bucket, disk)
