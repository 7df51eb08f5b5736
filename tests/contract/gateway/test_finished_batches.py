"""The end of a batch is noticed without being asked for, and reported once, whoever is killed meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.contract.gateway.running import Json, Running, running, wired
from tests.contract.gateway.test_batches import begun, dispatch, finish, stands
from tests.eventually import eventually
from workers.dispatch.batch_reports import NAMED
from workers.dispatch.object_batches import ABANDONED_S, KEPT_S, SETTLE_S, Batches
from workers.redis.connection import Client
from workers.wiring.gateway import services
from workers.wiring.wiring import Wiring

PARTITIONS = (1, 3)


def reports(wiring: Wiring) -> list[Json]:
    """The finished batches, as receivers are told of them."""
    redis: Any = wiring.redis
    return [json.loads(fields[b"body"]) for _, fields in redis.xrange(wiring.keys.batches_finished)]


def test_a_batch_of_keys_is_reported_with_what_became_of_its_objects(gateway: Running) -> None:
    for key in ("a.png", "b.png", "ü.png"):
        gateway.put(key)
    batch = begun(gateway, keys=["a.png", "b.png", "ü.png", "never.png"])
    dispatch(gateway, gateway.wiring.inbox)
    finish(gateway, "a.png")
    finish(gateway, "ü.png", error="unreadable")
    batches = batches_of(gateway.wiring)
    for _ in range(3):
        batches.look()
    assert reports(gateway.wiring) == []  # one is open
    finish(gateway, "b.png")
    eventually(lambda: reports(gateway.wiring))
    assert stands(gateway, batch)["finished"]
    (told,) = reports(gateway.wiring)
    assert told.pop("created_at") <= told["finished_at"]
    assert told.pop("finished_at").endswith("Z")
    assert told == {
        "id": batch["id"], "prefix": None, "total": 4, "counts": {"done": 2, "failed": 1, "gone": 1},
        "failures": [{"bucket": "inbox", "key": "ü.png", "state": "failed",
                      "error": {"code": "unreadable", "reason": "made up"}}],
        "gone": ["never.png"],
    }  # fmt: skip


def test_failures_behind_many_that_are_gone_are_reported(gateway: Running) -> None:
    gateway.put("z.png")
    begun(gateway, keys=[*(f"{number:04}.png" for number in range(1500)), "z.png"])
    eventually(lambda: gateway.wiring.low_priority_inbox.length() == 0)
    while dispatch(gateway, gateway.wiring.inbox):
        pass
    finish(gateway, "z.png", error="unreadable")
    (told,) = eventually(lambda: reports(gateway.wiring))
    assert told["counts"] == {"gone": 1500, "failed": 1}
    assert [one["key"] for one in told["failures"]] == ["z.png"]
    assert len(told["gone"]) == NAMED


def test_one_that_stays_open_in_the_middle_is_waited_for(gateway: Running) -> None:
    keys = [f"{number:03}.png" for number in range(60)]
    for key in keys:
        gateway.put(key)
    begun(gateway, keys=keys)
    dispatch(gateway, gateway.wiring.inbox)
    finish(gateway, *keys[:10], *keys[11:])
    batches = batches_of(gateway.wiring)
    (batch,) = batches.room.due(1) or eventually(lambda: batches.room.due(1))
    for _ in range(3):
        batches._look_again.clear()
        batches._look(batch)
    assert reports(gateway.wiring) == []
    finish(gateway, keys[10])
    eventually(lambda: reports(gateway.wiring))
    assert reports(gateway.wiring)[0]["counts"] == {"done": 60}


def test_a_batch_of_a_prefix_is_reported_when_all_is_listed(gateway: Running) -> None:
    for key in ("x/a.png", "x/b.png"):
        gateway.put(key)
    batch = begun(gateway, prefix="x/")
    assert len(eventually(lambda: dispatch(gateway, gateway.wiring.low_priority_inbox))) == 2
    finish(gateway, "x/a.png", "x/b.png")
    eventually(lambda: reports(gateway.wiring))
    (told,) = reports(gateway.wiring)
    assert (told["id"], told["prefix"], told["counts"]) == (batch["id"], "x/", {"done": 2})


def batches_of(wiring: Wiring) -> Batches:
    return services(wiring).batches


@contextmanager
def alone(folder: Path, redis_url: str, client: Client) -> Iterator[tuple[Wiring, list[str]]]:
    """A wiring without a gateway that would notice, and the keys of two objects in its bucket."""
    client.flushall()
    wiring = wired(folder, redis_url, key_prefix="alone:")
    for key in ("a.png", "b.png"):
        (wiring.settings.inbox_folder / key).touch()
    yield wiring, ["a.png", "b.png"]


def test_what_a_killed_gateway_had_counted_and_not_reported_another_one_reports_once(
    redis_url: str, client: Client, tmp_path: Path
) -> None:
    with alone(tmp_path, redis_url, client) as (wiring, keys):
        killed = batches_of(wiring)
        batch = killed.of_keys([*keys, "gone.png"], announce=False)
        (tmp_path / "inbox/a.png").unlink()
        (tmp_path / "inbox/b.png").unlink()
        assert not killed._settle(batch)  # and it is killed
        assert reports(wiring) == []
        with running(wiring), running(wiring):
            eventually(lambda: reports(wiring))
            assert batches_of(wiring).status(batch) is not None
        (told,) = reports(wiring)
        assert (told["counts"], told["gone"]) == ({"gone": 3}, ["a.png", "b.png", "gone.png"])


def test_a_batch_that_is_being_made_is_not_finished(redis_url: str, client: Client, tmp_path: Path) -> None:
    """One that a killed gateway left so is taken as it is after a while: nobody has its id."""
    with alone(tmp_path, redis_url, client) as (wiring, _):
        now = 1000.0
        wiring.clock = lambda: now
        batches = batches_of(wiring)
        batch = batches._new("")
        now += 60
        batches.look()
        assert reports(wiring) == []
        assert client.hget(wiring.keys.batch(batch), "complete") == b"0"
        now += ABANDONED_S
        batches.look()
        assert [told["id"] for told in reports(wiring)] == [batch]


def test_batches_of_before_are_not_reported_when_somebody_asks(
    redis_url: str, client: Client, tmp_path: Path
) -> None:
    with alone(tmp_path, redis_url, client) as (wiring, _):
        batches = batches_of(wiring)
        batch = batches.of_keys(["gone.png"], announce=False)
        client.zrem(wiring.keys.batches_unfinished, batch)  # an older version found that it was finished
        status = batches.status(batch)
        assert status is not None
        assert status.finished
        assert reports(wiring) == []


def test_a_batch_that_takes_long_is_kept(redis_url: str, client: Client, tmp_path: Path) -> None:
    """Its keys have a lifetime, which is renewed while it is not finished."""
    with alone(tmp_path, redis_url, client) as (wiring, keys):
        now = time.time()
        wiring.clock = lambda: now
        batches = batches_of(wiring)
        batch = batches.of_keys(keys, announce=False)
        names = [wiring.keys.batch(batch, part) for part in ("", "open")]
        now += 2
        batches.look()
        for name in names:
            client.expire(name, 60)
        now += SETTLE_S
        batches.look()
        assert [client.ttl(name) > 86_400 for name in names] == [True, True]
        for name in names:
            client.expire(name, 60)
        now += KEPT_S
        batches.look()
        assert [client.ttl(name) > 86_400 for name in names] == [False, False]
