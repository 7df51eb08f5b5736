"""All keys of Redis are lost while processes run: what they need is made again, and nothing is taken for complete."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.eventually import eventually
from workers.dispatch.sweeper import Sweeper
from workers.lifecycle.losses import KEPT_S, Losses
from workers.redis.connection import Client
from workers.redis.data_loss import LONGEST_S, DataLoss, Refill
from workers.redis.keys import Keys
from workers.redis.layout import OUTDATED, VERSION, Layout, OtherLayout
from workers.redis.streams import claim_idle, drop_forgotten, forgotten, read_again, read_group, skip_lost
from workers.settings.settings import Settings
from workers.wiring.dispatch import sweeper
from workers.wiring.wiring import Wiring

CALLS: dict[str, Callable[[Any, str], Any]] = {
    "read": lambda client, key: read_group(client, key, "g", "me", 10, None),
    "read, waiting": lambda client, key: read_group(client, key, "g", "me", 10, 20),
    "read again": lambda client, key: read_again(client, key, "g", "me", 10),
    "claim": lambda client, key: claim_idle(client, key, "g", "me", 0, 10),
    "forgotten": lambda client, key: forgotten(client, key, "g"),
    "drop forgotten": lambda client, key: drop_forgotten(client, key, "g"),
    "skip lost": lambda client, key: skip_lost(client, key, "g"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
@pytest.mark.parametrize("refilled", [False, True])
def test_every_reader_of_a_stream_goes_on_without_its_group(
    client: Client, keys: Keys, call: Callable[[Any, str], Any], *, refilled: bool
) -> None:
    if refilled:  # others have written to the stream since
        client.xadd(keys.inbox, {"n": 1})
    assert not call(client, keys.inbox) or refilled
    client.xadd(keys.inbox, {"n": 2})
    seen = read_group(client, keys.inbox, "g", "other", 10, None) or read_again(client, keys.inbox, "g", "me", 10)
    assert seen, "entries that came after the loss are read"


def test_a_running_process_records_the_version_again_and_tells_of_the_loss(client: Client, keys: Keys) -> None:
    Layout(client, keys).require()
    watches = [DataLoss(client, keys, Layout(client, keys)) for _ in range(2)]
    told: list[int] = []
    for number, watch in enumerate(watches):
        watch.on_loss(lambda number=number: told.append(number))  # type: ignore[misc]  # its default is its value
        watch.step()
        watch.step()
    assert told == []
    for _ in range(2):
        client.flushall()
        client.xadd(keys.inbox, {"n": 1})  # others write before it is noticed
        for watch in watches:
            watch.step()
            watch.step()
    assert told == [0, 1, 0, 1]
    Layout(client, keys).require()
    assert client.get(keys.layout_version) == str(VERSION).encode()


def test_what_is_to_be_done_after_a_loss_is_done_though_redis_goes_away(client: Client, keys: Keys) -> None:
    Layout(client, keys).require()
    watch, told = DataLoss(client, keys, Layout(client, keys)), list[int]()

    def fail_once() -> None:
        told.append(1)
        if len(told) == 1:
            raise ConnectionError

    watch.on_loss(fail_once)
    watch.step()
    client.flushall()
    with pytest.raises(ConnectionError):
        watch.step()
    watch.step()
    watch.step()
    assert told == [1, 1]


@pytest.mark.parametrize("name", OUTDATED)
def test_keys_of_an_older_layout_in_their_place_are_refused(client: Client, keys: Keys, name: str) -> None:
    Layout(client, keys).require()
    watch = DataLoss(client, keys, Layout(client, keys))
    watch.step()
    client.flushall()
    client.set(f"{keys.prefix}{name}", "x")  # an old backup was restored
    with pytest.raises(OtherLayout, match="version 0"):
        watch.step()
    assert not client.exists(keys.layout_version)
    client.set(keys.layout_version, VERSION + 1)
    with pytest.raises(OtherLayout, match="newer"):
        watch.step()


def test_records_are_complete_when_the_bucket_was_compared_and_what_was_found_has_left_the_inbox(
    client: Client, keys: Keys
) -> None:
    refill = Refill(client, keys)
    assert refill.since() is not None  # nothing is there at all
    Layout(client, keys).require()
    began = refill.since()
    assert began is not None
    entry = client.xadd(keys.inbox, {"n": 1})
    refill.step()
    refill.swept(None)
    refill.swept(began - 1)  # a comparison that began before the loss
    client.xdel(keys.inbox, entry)
    refill.step()
    assert refill.since() == began
    entry = client.xadd(keys.inbox, {"n": 2})
    refill.swept(began)
    client.xadd(keys.inbox, {"n": 3})  # of a later event
    refill.step()
    assert refill.since() == began
    client.xdel(keys.inbox, entry)
    refill.step()
    assert refill.since() is None


def test_records_count_as_complete_after_a_day_without_a_comparison(client: Client, keys: Keys) -> None:
    Layout(client, keys).require()
    refill = Refill(client, keys, lambda: LONGEST_S * 10 + 2e9)
    refill.step()
    assert refill.since() is None


@pytest.fixture
def wiring(tmp_path: Path, redis_url: str, client: Client) -> Wiring:
    client.flushall()
    (tmp_path / "inbox").mkdir()
    for n in range(1200):  # more than a page
        (tmp_path / "inbox" / f"{n:04d}.jpg").write_bytes(b"x")
    return Wiring(Settings(home=tmp_path, redis_url=redis_url))


def finished(sweep: Sweeper) -> bool:
    return sweep.step(0.0)


def test_a_comparison_that_was_under_way_begins_again_after_a_loss(wiring: Wiring) -> None:
    wiring.layout.require()
    sweep = sweeper(wiring)
    wiring.data_loss.on_loss(sweep.restart)
    wiring.data_loss.step()
    assert not finished(sweep)
    assert wiring.inbox.length() > 0
    wiring.redis.flushall()
    assert not finished(sweep)  # it goes on where it was, until the loss is noticed
    wiring.data_loss.step()
    eventually(lambda: finished(sweep), 30)
    told = {event.key for _, event in wiring.inbox.read("me", 5000, None)}
    assert len(told) == 1200
    assert wiring.refill.since() is not None
    wiring.refill.step()
    assert wiring.refill.since() is not None, "they are read, and not dispatched"


def test_what_was_lost_is_counted(wiring: Wiring) -> None:
    wiring.layout.require()
    watch, losses = wiring.data_loss, Losses(wiring.redis, wiring.keys, lambda: 12.0)
    watch.on_loss(losses.report)
    watch.step()
    wiring.redis.zadd(wiring.keys.records, {"inbox/a": 1.0, "inbox/b": 1.0})
    wiring.redis.hset(wiring.keys.api_keys, "id", "x")
    wiring.redis.hset(wiring.keys.notify("waiting"), "id", "x")
    wiring.redis.sadd(wiring.keys.artifacts, "inbox/a")  # it is segmented, and will be again by itself
    wiring.redis.zadd(wiring.keys.segmentation_queue, {"inbox/b": 1.0})
    losses.note()
    wiring.redis.flushall()
    losses.note()
    wiring.redis.set(wiring.keys.data_id, "another process has noticed it")
    losses.note()
    watch.step()
    lost = losses.read()
    assert lost is not None
    assert (lost.at, lost.records, lost.api_keys, lost.deliveries) == (12.0, 2, 1, 1)
    assert "1 API keys (create them again), 1 webhook deliveries, 1 segmentation requests" in str(lost)
    done = losses.acknowledge()
    assert done == losses.acknowledge() == losses.read() == msgspec.structs.replace(lost, acknowledged_at=12.0)
    assert 0 < wiring.redis.ttl(wiring.keys.loss) <= KEPT_S
    losses.note()
    wiring.redis.flushall()
    watch.step()
    assert losses.read() == type(lost)(12.0)  # a new one, which nobody has acknowledged
