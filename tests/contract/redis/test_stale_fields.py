"""What killed processes left in hashes that all processes renew is removed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tasks.model_description import Description
from workers.outages.board import Outage, OutageBoard
from workers.redis import heartbeats, models_in_use
from workers.redis.connection import Client, text
from workers.redis.heartbeats import Health
from workers.redis.keys import Keys
from workers.redis.models_in_use import ModelBoard
from workers.redis.stale_fields import TIMES

DAY_S = 86_400.0
OLDEST_S = TIMES * max(heartbeats.FRESH_S, models_in_use.FRESH_S)


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def beat(client: Client, keys: Keys, clock: Clock, process: str) -> str:
    Health(client, keys, clock, process=process, host="here").beat("dispatcher")
    return keys.processes


def write_model(client: Client, keys: Keys, clock: Clock, process: str) -> str:
    ModelBoard(client, keys, process, clock).write("embedding", "encoder", Description("cpu", "ONNX", "float32", 1))
    return keys.models


def write_outage(client: Client, keys: Keys, clock: Clock, process: str) -> str:
    OutageBoard(client, keys, process, clock).write([Outage(name="store", reason="away", since=None)])
    return keys.outages


@pytest.mark.parametrize("write", [beat, write_model, write_outage])
def test_fields_of_processes_that_are_gone_are_removed(
    client: Client, keys: Keys, write: Callable[[Client, Keys, Clock, str], str]
) -> None:
    clock = Clock()
    for number in range(20):
        write(client, keys, clock, f"pod-{number}")
    clock.now += DAY_S
    key = write(client, keys, clock, "recent")
    client.hset(key, "of-another-release", b"\x01")
    clock.now += 60
    write(client, keys, clock, "own")
    left = {text(name).split()[-1 if write is beat else 0] for name in client.hkeys(key)}
    assert left == {"recent", "own", "of-another-release"}
    assert OLDEST_S < DAY_S
