"""A sweep is brought forward when an event reports a change and not where: soon, together, and not too often."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clock import Clock
from tests.contract.dispatch.dispatching_world import World
from tests.contract.dispatch.dispatching_world import world as world  # noqa: PLC0414 -- a fixture
from tests.unit.events import other_servers as other
from workers.dispatch.removals import Holds
from workers.dispatch.requested_sweeps import LOOK_S, PARTS, REST_S, RequestedSweeps, SweepRequests
from workers.dispatch.sweeper import Sweeper
from workers.events.notification import webhook
from workers.events.sink import received_events
from workers.redis.connection import Client
from workers.redis.keys import Keys


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def requests(client: Client, keys: Keys) -> SweepRequests:
    return SweepRequests(client, keys)


def ask(world: World, folder: str = "", times: int = 1) -> None:
    """An event without a key arrives."""
    body = other.rustfs_alpha(bucket="inbox").replace(b'"inbox/"', f'"inbox/{folder}"'.encode())
    world.event_sink.store([received_events("webhook", webhook(body, "inbox"), body)] * times)


def test_many_events_ask_for_one_sweep(world: World, requests: SweepRequests, clock: Clock) -> None:
    ask(world, times=500)
    assert requests.waiting() == {"": 500}
    assert world.event_sink.counts() == {"webhook:rejected": 500}
    sweeps = RequestedSweeps(requests, clock=clock)
    assert sweeps.due()
    assert not sweeps.due()  # it is running
    ask(world)  # too late for this one
    sweeps.ended()
    assert requests.waiting() == {"": 1}


def test_very_many_prefixes_become_one_request(world: World, requests: SweepRequests, clock: Clock) -> None:
    for number in range(12):
        ask(world, f"{number}/")
    requests.merge(12)
    assert len(requests.waiting()) == 12
    ask(world, "one more/")
    requests.merge(12)
    assert set(requests.waiting()) == {""}
    assert RequestedSweeps(requests, lambda _: None, clock=clock).due(), "the whole bucket"  # type: ignore[arg-type, return-value]


def test_sweeps_are_apart(world: World, requests: SweepRequests, clock: Clock) -> None:
    sweeps = RequestedSweeps(requests, clock=clock)
    ask(world)
    assert sweeps.due()
    clock.now += 60  # a long pass
    sweeps.ended()
    ask(world)
    clock.now += 59
    assert not sweeps.due()
    clock.now += 1
    assert sweeps.due()
    sweeps.ended()
    ask(world)
    assert not sweeps.due()
    clock.now += REST_S
    assert sweeps.due()


def test_nothing_was_asked_for(requests: SweepRequests, clock: Clock) -> None:
    sweeps = RequestedSweeps(requests, clock=clock)
    assert not sweeps.due()
    sweeps.ended()
    assert requests.waiting() == {}


def test_after_a_loss_of_redis_it_asks_anew(world: World, requests: SweepRequests, clock: Clock) -> None:
    sweeps = RequestedSweeps(requests, clock=clock)
    ask(world)
    assert sweeps.due()
    sweeps.restart()
    clock.now += LOOK_S
    assert sweeps.due()


def test_only_the_part_that_is_known_is_swept(
    world: World, requests: SweepRequests, clock: Clock, client: Client, keys: Keys, tmp_path: Path
) -> None:
    (tmp_path / "inbox" / "walks").mkdir()

    def part(prefix: str) -> Sweeper:
        return Sweeper(
            world.store, "inbox", world.records, world.inbox, client, keys, Holds(client, keys), prefix=prefix,
            resume=False,
        )  # fmt: skip

    sweeps = RequestedSweeps(requests, part, clock=clock)
    world.put("walks/dog.jpg")
    world.put("cat.jpg")
    ask(world, "walks/")
    assert not sweeps.due(idle=True)
    while sweeps.step(1):
        pass
    assert requests.waiting() == {}
    world.dispatcher().step(block_ms=10)
    assert world.queues.sent == [["walks/dog.jpg"]]
    clock.now += REST_S
    ask(world, "walks/")
    assert sweeps.due(idle=False)  # a pass over the whole bucket is running, which covers the part


def test_many_parts_are_swept_with_the_whole_bucket(world: World, requests: SweepRequests, clock: Clock) -> None:
    for number in range(PARTS + 1):
        ask(world, f"{number}/")
    assert RequestedSweeps(requests, lambda _: pytest.fail("a part"), clock=clock).due()
