"""``wildtag alive`` says of a process whether it makes progress, by its beats and by asking, over a real Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from workers.cli.main import app
from workers.diagnostics.liveness import State
from workers.redis.connection import Client, connect
from workers.settings.settings import QUEUES, Settings
from workers.stages.registration import register
from workers.wiring.liveness import liveness_check
from workers.wiring.stages import stage_worker
from workers.wiring.wiring import Wiring

PREFIX = "test:"


@pytest.fixture
def wiring(redis_url: str, client: Client, monkeypatch: pytest.MonkeyPatch) -> Wiring:  # noqa: ARG001 -- empties Redis
    broker = redis_url.replace("unix://", "redis+socket://")
    for name, value in {"REDIS_URL": redis_url, "BROKER_URL": broker, "KEY_PREFIX": PREFIX}.items():
        monkeypatch.setenv(f"WILDTAG_{name}", value)
    return Wiring(Settings())


@pytest.fixture
def answering(wiring: Wiring, redis_url: str) -> Iterator[None]:
    """A worker that beats whenever a probe comes, as one that has loaded its models does."""
    stop, own = threading.Event(), connect(redis_url)

    def serve() -> None:
        while not stop.is_set():
            for queue in QUEUES:
                if own.lpop(f"{PREFIX}{queue}"):
                    Wiring(wiring.settings).health.beat(queue)
            stop.wait(0.02)

    thread = threading.Thread(target=serve)
    thread.start()
    yield
    stop.set()
    thread.join()


def alive(name: str, within: float = 1) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["alive", name, "--within", str(within)])
    return done.exit_code, done.stderr


@pytest.mark.parametrize("name", [*QUEUES, "dispatcher", "watcher", "reconcile"])
def test_who_has_just_made_progress_is_alive_and_is_not_asked(wiring: Wiring, client: Client, name: str) -> None:
    wiring.health.beat(name)
    assert alive(name, within=30) == (0, "")
    assert not client.exists(f"{PREFIX}{name}")


@pytest.mark.parametrize("queue", QUEUES)
def test_an_idle_worker_is_asked_through_its_queue(answering: None, wiring: Wiring, queue: str) -> None:  # noqa: ARG001
    assert alive(queue, within=10) == (0, "")
    assert wiring.health.beats()[queue] == pytest.approx(time.time(), abs=10)


def test_a_worker_that_consumes_nothing_is_not_alive(wiring: Wiring, client: Client) -> None:
    Wiring(wiring.settings, clock=lambda: time.time() - 100).health.beat("embedding")
    code, said = alive("embedding")
    assert code == 1
    assert "no progress" in said
    assert client.llen(f"{PREFIX}embedding") == 1, "asked once"


def test_who_has_no_queue_gets_its_time_too(wiring: Wiring) -> None:
    assert alive("dispatcher")[0] == 1
    late = threading.Timer(0.5, lambda: Wiring(wiring.settings).health.beat("dispatcher"))
    late.start()
    assert alive("dispatcher", within=10)[0] == 0
    late.join()


def test_a_beat_of_another_stage_does_not_count(wiring: Wiring) -> None:
    wiring.health.beat("scoring")
    assert alive("retrieval")[0] == 1


def test_redis_being_away_is_not_the_fault_of_those_who_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WILDTAG_REDIS_URL", "redis://127.0.0.1:1/0")  # nobody listens there
    code, said = alive("embedding")
    assert code == 0
    assert "state unknown: Redis is unavailable" in said


def test_a_name_that_nobody_has_is_refused(wiring: Wiring) -> None:  # noqa: ARG001
    assert alive("nobody")[0] == 2


def test_the_supervisor_sees_the_same(wiring: Wiring) -> None:
    pulse = liveness_check(wiring, "extraction", fresh=0.2, patience=2.0)
    assert pulse.state() is State.PROBED
    assert pulse.healthy(), "it still has time to answer"
    assert pulse.settled() is State.SILENT
    assert not pulse.healthy()
    wiring.health.beat("extraction")
    assert pulse.state() is State.ALIVE
    assert pulse.healthy()


@pytest.mark.parametrize("queue", QUEUES)
def test_every_queue_has_a_probe(wiring: Wiring, queue: str) -> None:
    register(wiring.app, lambda: stage_worker(wiring))
    assert f"wildtag.probe.{queue}" in wiring.app.tasks
