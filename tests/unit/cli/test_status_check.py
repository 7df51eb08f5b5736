"""``wildtag status --check``: limits, levels, the line and its performance data."""

from __future__ import annotations

import re

import msgspec
import pytest

from tests.unit.cli.test_status_lines import NOW, depths, ledger, notes, overview
from tests.unit.compose_file import ROOT
from workers.cli.status.check import OTHERS, BadLimits, Level, Limit, Limits, failed, findings, line
from workers.cli.status.overview import Disk, reason_of, stages_of
from workers.dispatch.removals import Hold
from workers.events.sources import Condition
from workers.lifecycle.losses import Lost
from workers.lifecycle.recent_results import Failures
from workers.outages.board import Outage
from workers.redis.connection import StoreUnavailable
from workers.redis.servers import RedisServer
from workers.settings.settings import STAGES

DATA = re.compile(r"'?[^'=| ]+'?=[0-9.]+(s|%|B)?(;[0-9.:]*){0,4}")
"""One item of performance data: https://www.monitoring-plugins.org/doc/guidelines.html."""


def outage(name: str) -> Outage:
    return Outage(name=name, reason="no route\nto | host", since=None)


def stages(processes: tuple[str, ...] = STAGES, progress_s: float = 1.0, **queues: tuple[int, float]) -> object:
    ages = dict.fromkeys(STAGES, progress_s)
    return stages_of(NOW, depths({}), ledger(**queues), ages, notes(*processes), [])


def said(limits: Limits | None = None, **known: object) -> tuple[Level, str]:
    level, text = line(overview(**known), limits or Limits())
    assert text.startswith(f"{level.name} - ")
    assert "\n" not in text
    text, _, data = text.partition(" | ")
    assert all(DATA.fullmatch(item) for item in data.split()), data
    return level, text.partition(" - ")[2]


def test_the_processes_beside_the_workers_are_those_that_send_heartbeats() -> None:
    texts = (file.read_text() for file in (ROOT / "workers" / "processes").glob("*.py"))
    assert {name for text in texts for name in re.findall(r'health\.beat\("([a-z-]+)"\)', text)} == OTHERS


def test_all_is_well() -> None:
    assert said() == (Level.OK, "0 in progress, 0 waiting, 3 done, 0.5 objects/s")


@pytest.mark.parametrize(
    ("known", "level", "reason"),
    [
        ({"outages": [outage("redis")]}, Level.CRITICAL, "redis is unavailable: no route to / host"),
        ({"outages": [outage("redis/2")]}, Level.CRITICAL, "redis/2 is unavailable: no route to / host"),
        ({"outages": [outage("broker")]}, Level.CRITICAL, "broker is unavailable: no route to / host"),
        ({"outages": [outage("webhook")]}, Level.WARNING, "webhook is unavailable: no route to / host"),
        ({"stages": stages(STAGES[:3])}, Level.CRITICAL, "no worker for scoring"),
        ({"processes": notes(*STAGES)}, Level.CRITICAL, "no dispatcher runs"),
        ({"ages": {"watcher": 200.0}}, Level.WARNING, "watcher has made no progress for 3 min"),
        ({"ages": {"dispatcher": 700.0}}, Level.CRITICAL, "dispatcher has made no progress for 12 min"),
        ({"inbox_oldest_s": 1200.0}, Level.WARNING, "events have waited for the dispatcher for 20 min"),
        ({"inbox_oldest_s": 899.0}, Level.OK, ""),  # as many come at once
        ({"stages": stages(scoring=(2, NOW - 301))}, Level.WARNING, "2 objects in scoring, the oldest since 5 min"),
        ({"stages": stages(scoring=(2, NOW - 1800))}, Level.CRITICAL,
         "2 objects in scoring, the oldest since 30 min"),
        ({"stages": stages(progress_s=700, scoring=(2, NOW - 9))}, Level.CRITICAL,
         "scoring has made no progress for 12 min"),
        ({"stages": stages(progress_s=700)}, Level.OK, ""),  # an idle stage has nothing to do
        ({"counts": {"dead": 1}}, Level.WARNING, "1 dead, see `wildtag dead list`"),
        ({"counts": {"acknowledged": 5}}, Level.OK, ""),
        ({"lost": Lost(NOW - 180, records=3)}, Level.WARNING,
         f"{Lost(0, records=3)} (3 min ago); acknowledge: `wildtag status --acknowledge-loss`"),
        ({"lost": Lost(NOW - 120, acknowledged_at=NOW)}, Level.OK, ""),
        ({"failures": Failures(600.0, 40, {"too-large": 10})}, Level.WARNING,
         "10 of 40 failed in the last 10 min (too-large 10)"),
        ({"failures": Failures(600.0, 4, {"too-large": 4})}, Level.OK, ""),  # too few
        ({"memory": [RedisServer("a", 90, 100, 0)]}, Level.WARNING, "90% of the memory of Redis is used"),
        ({"memory": [RedisServer("a", 10, 0, 3)]}, Level.WARNING,
         "Redis has evicted 3 keys: set maxmemory-policy noeviction"),
        ({"disks": [Disk("home", "/h", 2, 100)]}, Level.CRITICAL, "2% of the disk with /h is free"),
        ({"held": [Hold("inbox", 7, 9, "many", 1.0)]}, Level.WARNING, "removals of 7 objects in inbox are held"),
        ({"sources": {"listen": Condition("away", 1.0, "gone")}}, Level.WARNING,
         "event source listen is away: gone"),
        ({"damaged": ["inbox/a"]}, Level.WARNING, "1 damaged record"),
        ({"refilling": 1.0}, Level.WARNING, "records are made again, because Redis was empty"),
    ],
)  # fmt: skip
def test_each_fault_has_its_level_and_is_named(known: dict[str, object], level: Level, reason: str) -> None:
    found, text = said(None, **known)
    assert (found, text if level is not Level.OK else "") == (level, reason)


def test_all_reasons_are_named_the_worst_first() -> None:
    level, text = said(counts={"dead": 1}, stages=stages(STAGES[1:]))
    assert (level, text) == (Level.CRITICAL, "no worker for embedding; 1 dead, see `wildtag dead list`")


def test_limits_can_be_changed_and_switched_off() -> None:
    limits = Limits(dead=Limit(None, 2), waiting=Limit(1, None))
    assert said(limits, counts={"dead": 1, "inbox": 0})[0] is Level.OK
    assert said(limits, counts={"dead": 2})[0] is Level.CRITICAL
    assert said(limits, counts={"inbox": 1})[0] is Level.WARNING


@pytest.mark.parametrize("limits", [{"oldest": Limit(20, 10)}, {"disk": Limit(0.01, 0.1, below=True)}])
def test_limits_in_the_wrong_order_are_refused(limits: dict[str, Limit]) -> None:
    with pytest.raises(BadLimits, match="behind --critical-"):
        Limits(**limits)


def test_performance_data_has_the_limits() -> None:
    found = overview(
        disks=[Disk("home", "/h", 50, 100)],
        memory=[RedisServer("a", 10, 100, 0)],
        stages=stages(scoring=(1, NOW - 4.5)),
    )
    data = line(found, Limits())[1].partition(" | ")[2].split()
    assert {"oldest=4.5s;300;1800;0", "dead=0;1;;0", "failures=0%;10;50;0;100", "scoring_objects=1;;;0",
            "redis_memory=10B;80;95;0;100", "home_free=50B;10:;3:;0;100"} <= set(data)  # fmt: skip


def test_nothing_is_claimed_of_what_is_not_known() -> None:
    found = overview(outages=[outage("redis")], counts={}, stages=[], processes=[])
    assert [one.reason for one in findings(found, Limits())] == ["redis is unavailable: no route\nto | host"]
    assert "done=" not in line(found, Limits())[1]
    assert failed(Level.UNKNOWN, "a\x1b[31m|b\nc") == "UNKNOWN - a\N{REPLACEMENT CHARACTER}[31m/b c"
    assert msgspec.json.decode(msgspec.json.encode(found.row())).keys() == {"at", "outages"}


def test_an_outage_of_redis_is_named_once() -> None:
    fault = Outage(name="redis", reason=reason_of(StoreUnavailable("Redis is unavailable: timeout")), since=None)
    assert [one.reason for one in findings(overview(outages=[fault]), Limits())] == ["redis is unavailable: timeout"]
