"""Heartbeats name the clock of each process, and end with the last process that stops on purpose."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from celery import Celery
from celery.worker.request import Request

from workers.broker.timed_requests import request_class
from workers.redis.connection import Client
from workers.redis.heartbeats import FRESH_S, Health
from workers.redis.keys import Keys

KEYS = Keys("test:")


def health(client: Client, process: str, ahead: float = 0.0) -> Health:
    """Of a process whose host's clock is ahead."""
    return Health(client, KEYS, lambda: time.time() - ahead, process=process, host=process.partition("-")[0])


@pytest.mark.parametrize("ahead", [-600.0, 0.0, 600.0])
def test_every_process_names_its_host_and_offset(client: Client, ahead: float) -> None:
    process = health(client, "a-1", ahead)
    process.beat("embedding")
    (note,) = process.processes()
    assert note.clock == ("a (embedding)", ahead)


def test_a_heartbeat_ends_with_the_last_process_that_stops(client: Client) -> None:
    first, second = health(client, "a-1"), health(client, "a-2")
    first.beat("embedding")
    assert second.command("embedding")[0] == "HSET"
    first.beat("dispatcher")
    first.retire("embedding")
    assert set(first.beats()) == {"embedding", "dispatcher"}
    second.retire("embedding")
    assert set(first.beats()) == {"dispatcher"}
    assert [note.name for note in first.processes()] == ["dispatcher"]


def test_a_process_that_was_killed_is_forgotten_and_hides_no_other(client: Client) -> None:
    killed = Health(client, KEYS, lambda: time.time() - FRESH_S - 1, process="a-1", host="a")
    killed.beat("embedding")
    other = health(client, "b-2")
    other.beat("embedding")
    assert [note.host for note in other.processes()] == ["b"]
    other.retire("embedding")
    assert other.beats() == {}


@pytest.mark.parametrize("ahead", [-600.0, 600.0])
def test_times_in_messages_are_those_of_redis(ahead: float) -> None:
    redis_now = time.time() - ahead
    sent = datetime.fromtimestamp(redis_now, UTC)
    headers = {
        "id": "1", "task": "x", "eta": (sent + timedelta(seconds=2)).isoformat(),
        "expires": (sent + timedelta(seconds=60)).isoformat(),
    }  # fmt: skip
    message = SimpleNamespace(
        headers=headers, body=b"", content_type="", content_encoding="", payload=((), {}, {}), properties={},
        delivery_info={},
    )  # fmt: skip
    app = Celery("x", set_as_current=False)

    @app.task(name="x")
    def nothing() -> None:
        """Is never run."""

    made: Request = request_class(lambda: redis_now)(message, app=app, body=((), {}, {}), decoded=True)
    assert made.eta is not None
    assert made.expires is not None
    assert made.eta.timestamp() == pytest.approx(time.time() + 2, abs=1)
    assert made.expires.timestamp() == pytest.approx(time.time() + 60, abs=1)


def test_no_progress_is_in_the_future(client: Client) -> None:
    """Clocks differ a little between two readings."""
    now = [1000.4]
    health = Health(client, KEYS, lambda: now[0])
    health.beat("watcher")
    now[0] = 1000.0
    health.beat("dispatcher")
    assert health.ages() == {"watcher": 0.0, "dispatcher": 0.0}
    now[0] = 1002.0
    assert health.ages()["dispatcher"] == 2.0
