"""A worker reports its liveness itself: also while Redis is away, and never for a loop that stands still."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from tests.contract.diagnostics.health_commands import age
from tests.contract.diagnostics.health_commands import own as own  # noqa: PLC0414 -- a fixture
from tests.contract.own_redis import OwnRedis
from workers.redis.connection import Client
from workers.settings.settings import Settings
from workers.wiring.liveness import worker_liveness
from workers.wiring.wiring import Wiring


@pytest.fixture
def wiring(redis_url: str, client: Client, tmp_path: Path) -> Wiring:  # noqa: ARG001 -- empties Redis
    settings = Settings(
        redis_url=redis_url, broker_url=redis_url.replace("unix://", "redis+socket://"), key_prefix="test:",
        liveness_folder=tmp_path / "alive",
    )  # fmt: skip
    wiring = Wiring(settings)
    wiring.liveness.begin("extraction")
    return wiring


def test_a_worker_that_consumes_nothing_gives_no_sign_until_it_does(wiring: Wiring, client: Client) -> None:
    liveness = worker_liveness(wiring, ["extraction"], fresh=0.2, patience=0.3)
    file = wiring.settings.liveness_folder / "extraction"  # type: ignore[operator]  # it is set above
    other = Wiring(wiring.settings.model_copy(update={"liveness_folder": None}))
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        liveness.check()
        time.sleep(0.05)  # between two looks
    assert not file.exists()
    assert client.llen("test:extraction") > 1, "it is asked again and again: it may come to itself"
    other.health.beat("extraction")  # as the pool does when a question reaches it
    liveness.check()
    assert file.exists()
    age(file)
    before = file.read_text()
    time.sleep(1.2)  # a beat lasts a second here
    liveness.check()
    assert file.read_text() == before, "a beat that is old is none"


def test_the_thread_speaks_for_a_loop_that_stands_still_only_while_redis_is_away(
    wiring: Wiring, own: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = wiring.settings.liveness_folder / "extraction"  # type: ignore[operator]  # it is set above
    broker = own.url.replace("unix://", "redis+socket://")
    here = Wiring(wiring.settings.model_copy(update={"redis_url": own.url, "broker_url": broker}))
    monkeypatch.setattr("workers.diagnostics.worker_liveness.STOPPED_S", 0.0)
    liveness = worker_liveness(here, ["extraction"])
    time.sleep(0.01)  # longer than ``STOPPED_S``
    liveness.watch()
    assert not file.exists(), "Redis answers: the loop is at fault"
    own.kill()
    liveness.watch()
    assert file.exists()
    monkeypatch.setattr("workers.diagnostics.worker_liveness.STOPPED_S", 60.0)
    file.unlink()
    time.sleep(1.1)  # a file is not written twice in a second
    liveness.watch()
    assert not file.exists(), "a loop that turns speaks for itself"


@pytest.mark.parametrize(
    "broker", ["amqp://127.0.0.1:1", "redis+socket:///nowhere/redis.sock?virtual_host=1", "redis://127.0.0.1:1/1"]
)
def test_the_thread_speaks_for_a_loop_whose_broker_is_away_whatever_broker_that_is(
    wiring: Wiring, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = wiring.settings.liveness_folder / "extraction"  # type: ignore[operator]  # it is set above
    monkeypatch.setattr("workers.diagnostics.worker_liveness.STOPPED_S", 0.0)
    liveness = worker_liveness(Wiring(wiring.settings.model_copy(update={"broker_url": broker})), ["extraction"])
    liveness.watch()
    assert file.exists()


def test_the_thread_goes_on_and_does_not_speak_for_a_loop_whose_broker_answers(
    wiring: Wiring, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = wiring.settings.liveness_folder / "extraction"  # type: ignore[operator]  # it is set above
    monkeypatch.setattr("workers.diagnostics.worker_liveness.STOPPED_S", 0.0)
    url = wiring.settings.broker
    for broker in (f"{url}?virtual_host=1", f"{url}?virtual_host=none"):
        liveness = worker_liveness(Wiring(wiring.settings.model_copy(update={"broker_url": broker})), ["extraction"])
        liveness.watch()
        assert not file.exists(), broker


def test_the_thread_speaks_while_a_broker_swallows_what_it_is_asked(
    wiring: Wiring, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = wiring.settings.liveness_folder / "extraction"  # type: ignore[operator]  # it is set above
    monkeypatch.setattr("workers.diagnostics.worker_liveness.STOPPED_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        broker = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        liveness = worker_liveness(Wiring(wiring.settings.model_copy(update={"broker_url": broker})), ["extraction"])
        liveness.watch()
    assert file.exists()
