"""``wildtag status`` over a real Redis: JSON, checks with their exit statuses, a watch, and a Redis that hangs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.operations.conftest import Finish, Wildtag
from tests.contract.own_redis import OwnRedis
from workers.lifecycle.ledger import Ledger
from workers.redis.connection import Client
from workers.redis.heartbeats import Health
from workers.redis.keys import Keys
from workers.settings.settings import STAGES


@pytest.fixture
def workers(client: Client, keys: Keys, ledger: Ledger) -> list[str]:
    """Heartbeats of all processes. The bucket was compared, so no records are missing."""
    client.delete(keys.refill)
    assert ledger.in_flight() == 0
    for name in (*STAGES, "dispatcher"):
        Health(client, keys, time.time, process="here-1", host="here").beat(name)
    return list(STAGES)


@pytest.fixture
def refusing(client: Client) -> Iterator[Client]:
    """A Redis that refuses to write when ``min-replicas-to-write`` is set, as one with a full disk does."""
    yield client
    client.config_set("min-replicas-to-write", 0)


@pytest.fixture(autouse=True)
def _nothing_at_risk(client: Client) -> Iterator[None]:
    """The tests' Redis writes nothing to its disk, which is a warning."""
    client.config_set("appendonly", "yes")
    yield
    client.config_set("appendonly", "no")


def check(wildtag: Wildtag, *arguments: str, **settings: str) -> tuple[int, str]:
    done = wildtag("status", "--check", *arguments, **settings)
    assert done.stdout.count("\n") == 1, done.stdout + done.stderr
    return done.returncode, done.stdout.strip()


@pytest.mark.usefixtures("workers")
def test_it_tells_rate_latency_failures_and_loads(wildtag: Wildtag, finish: Finish) -> None:
    now = time.time()
    for number in range(3):
        finish(f"{number}.png", "done", now - 2)
    finish("bad.png", "failed", now - 1, "too-large")
    body = json.loads(wildtag("status", "--json").stdout)
    assert body["counts"]["done"] == 3
    assert body["rate"]["objects"] == 4
    assert body["latency"] == {"p50": 1.0, "p95": 1.0, "objects": 4}
    assert body["failures"]["reasons"] == body["failures_total"] == {"too-large": 1}
    assert {stage["name"]: stage["processes"] for stage in body["stages"]} == dict.fromkeys(STAGES, 1)
    assert body["redis"][0]["used"] > 0
    assert body["disks"][0]["free"] > 0
    said = wildtag("status", COLUMNS="200").stdout
    assert "1 of 4 in the last 60 min (too-large 1)" in said


def test_a_check_names_what_is_wrong_and_exits_accordingly(
    wildtag: Wildtag, workers: list[str], finish: Finish, client: Client, keys: Keys
) -> None:
    code, said = check(wildtag, "--warning-disk", "0", "--critical-disk", "0")
    assert (code, said.startswith("OK - 0 in progress")) == (0, True), said
    finish("1.png", "dead", time.time())
    code, said = check(wildtag, "--warning-disk", "0", "--critical-disk", "0")
    assert (code, said.startswith("WARNING - 1 dead")) == (1, True), said
    assert wildtag("dead", "drop", "1.png").returncode == 0
    assert check(wildtag, "--warning-disk", "0", "--critical-disk", "0")[0] == 0
    Health(client, keys, time.time, process="here-1", host="here").retire(workers[-1])
    code, said = check(wildtag)
    assert (code, said.startswith("CRITICAL - no worker for scoring")) == (2, True), said
    assert check(wildtag, "--json")[0] == check(wildtag, "--warning-oldest", "5000")[0] == 3


@pytest.mark.usefixtures("workers")
def test_a_redis_that_only_answers_reads_is_away(wildtag: Wildtag, refusing: Client) -> None:
    refusing.config_set("min-replicas-to-write", 1)
    code, said = check(wildtag)
    assert (code, said.startswith("CRITICAL - redis is unavailable: Redis temporarily refuses")) == (2, True), said
    assert wildtag("status").returncode == 1


def test_a_check_of_no_stack_and_of_wrong_settings_is_no_success(wildtag: Wildtag) -> None:
    code, said = check(wildtag, WILDTAG_REDIS_URL="redis://127.0.0.1:1")
    assert (code, "redis is unavailable" in said) == (2, True), said
    code, said = check(wildtag, WILDTAG_PARTITIONS="none")
    assert (code, said.startswith("UNKNOWN - ValidationError: WILDTAG_PARTITIONS: ")) == (3, True), said
    assert "none" not in said, "a value may be a secret"


@pytest.fixture
def own() -> Iterator[OwnRedis]:
    made = OwnRedis()
    made.start()
    yield made
    made.close()


@pytest.mark.long
def test_a_redis_that_hangs_is_told_within_ten_seconds_and_watched_until_it_is_back(
    own: OwnRedis, tmp_path: Path
) -> None:
    environment = {**os.environ, "WILDTAG_HOME": str(tmp_path), "WILDTAG_REDIS_URL": own.url}
    command = [sys.executable, "-m", "workers.cli", "status"]
    began = time.monotonic()
    subprocess.run([*command, "--check"], env=environment, capture_output=True, check=False)
    usual = time.monotonic() - began  # most of which is the start of Python
    watching = subprocess.Popen(
        [*command, "--watch", "0.5", "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stdout is not None
        assert "counts" in json.loads(watching.stdout.readline())
        own.suspend()
        began = time.monotonic()
        done = subprocess.run([*command, "--check"], env=environment, capture_output=True, text=True, check=False)
        assert time.monotonic() - began < 10 + usual
        assert (done.returncode, done.stdout.startswith("CRITICAL - ")) == (2, True), done.stdout + done.stderr
        while "counts" in (read := json.loads(watching.stdout.readline())):
            pass
        assert read["outages"][0]["name"] == "redis"
        own.resume()
        while "counts" not in json.loads(watching.stdout.readline()):
            pass
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 0
        assert watching.stderr is not None
        assert watching.stderr.read() == ""
    finally:
        own.resume()
        watching.kill()
        watching.wait()
