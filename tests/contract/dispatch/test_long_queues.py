"""Queues that take longer than deadlines, with messages that are lost: every object ends, and few copies are made."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

import pytest

from tasks.message_parts import ObjectRef
from tasks.messages import Batch
from tests.contract.dispatch.dispatching_world import REVISION, World
from tests.contract.dispatch.dispatching_world import world as world  # noqa: PLC0414 -- a fixture
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.record import Record

DEADLINE_S = 60
SLOW_S = 2.0  # for a message of retrieval


@dataclass
class Flow:
    """Two stages with a worker each. ``lost``: the share of messages that are."""

    world: World
    chance: random.Random
    lost: float
    queues: dict[str, deque[ObjectRef]] = field(default_factory=lambda: {"embedding": deque(), "retrieval": deque()})
    taken: dict[str, float] = field(default_factory=dict)
    sent: int = 0
    gone: int = 0

    def put(self, stage: str, ref: ObjectRef) -> None:
        self.sent += 1
        if self.chance.random() < self.lost:
            self.gone += 1
        else:
            self.queues[stage].append(ref)

    def send(self, stage: str, batch: Batch) -> None:
        for ref in batch.objects:
            self.put(stage, ref)

    def queued(self, stage: str) -> int:
        return len(self.queues[stage])

    def work(self, stage: str) -> None:
        world = self.world
        if not self.queues[stage]:
            world.health.beat(stage)
            return
        ref = self.queues[stage].popleft()
        beat = world.health.command(stage, self.taken.get(stage))
        (at,) = world.ledger.advance(
            [ref], REVISION, stage, world.now + DEADLINE_S, now=world.now, begin=stage == "embedding", also=[beat]
        )
        if at is None:
            return
        if at.since is not None:
            self.taken[stage] = at.since
        if stage == "embedding":
            world.ledger.put_on("retrieval", [ref], REVISION, world.now)
            self.put("retrieval", ref)
        else:
            world.finish(ref)


@pytest.mark.parametrize("seed", range(2))
def test_every_object_ends(world: World, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    count = 100  # of which the last one waits for three deadlines
    flow = Flow(world, random.Random(seed), 0.1)
    monkeypatch.setattr(world.queues, "queued", flow.queued)
    monkeypatch.setattr(world.queues, "send", flow.send)
    for n in range(count):
        world.put(f"{n}.png", bytes([n]))
    world.inbox.append([ObjectEvent("created", "inbox", f"{n}.png") for n in range(count)])
    while world.inbox.length():
        world.dispatcher(in_flight_max=1000).step()
    keeper = world.keeper()
    for _ in range(int(20 * DEADLINE_S / SLOW_S)):
        for _ in range(4):
            flow.work("embedding")
        flow.work("retrieval")
        keeper.step()
        world.now += SLOW_S
        if not world.ledger.in_flight():
            break
    records: list[Record] = list(world.records.latest(count))
    assert [one.key for one in records if one.state != "done"] == []
    assert len(records) == count
    assert flow.sent <= 2 * count + 3 * flow.gone, "hardly more than what was lost, which begins with the first stage"
