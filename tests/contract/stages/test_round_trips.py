"""How often a batch goes to Redis and back, from the inbox to its records: what it costs beside the model."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import redis
from redis.connection import UnixDomainSocketConnection

from tests.contract.queues import Queues
from tests.unit.stages.made_up import SPACE, MadeUpImages, MadeUpText, index_of, picture
from vectordb.exact import ExactIndex
from workers.lifecycle.event import ObjectEvent
from workers.redis.connection import Client
from workers.settings.settings import STAGES, Settings
from workers.wiring.dispatch import dispatcher
from workers.wiring.stages import stage_worker
from workers.wiring.wiring import Wiring

MOST = 15
"""Round trips of a batch, whatever its size. Those of the broker, which Celery makes, are not counted."""


class Counting(UnixDomainSocketConnection):
    """A connection that counts: what is sent together is one round trip."""

    trips: ClassVar[list[str]] = []

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        Counting.trips.append(repr(b"".join(command) if isinstance(command, list) else command)[:80])
        super().send_packed_command(command, check_health=check_health)  # type: ignore[no-untyped-call]


class Library:
    """One version of captions, in memory."""

    def __init__(self) -> None:
        self._index = index_of()

    def open(self, _: str) -> ExactIndex:
        return self._index

    def thresholds(self, _: str) -> None:
        return None


class NoImages:
    """In place of the index of images, which is not in Redis."""

    def attempt(self, *_: object) -> None:
        return None


class World:
    """The whole way of a batch in one process: dispatcher, all stages, and queues that are lists."""

    def __init__(self, settings: Settings) -> None:
        self.wiring = wiring = Wiring(settings)
        self.queues = Queues()
        given: dict[str, Any] = {
            "image_encoder": MadeUpImages(), "text_encoder": MadeUpText(), "space": SPACE, "indexes": Library(),
            "images": NoImages(), "chosen": lambda: "captions@1", "reference_vectors": None, "confidence_model": None,
            "publisher": self.queues,
        }  # fmt: skip
        for name, value in given.items():
            setattr(wiring, name, value)
        pool: Any = wiring.redis.connection_pool
        pool.connection_class = Counting
        wiring.inbox.prepare()
        wiring.low_priority_inbox.prepare()
        self.runner, self.dispatcher = stage_worker(wiring).runner, dispatcher(wiring, "me")

    def tag(self, *numbers: int) -> None:
        """Take images from the inbox to their records."""
        events = []
        for number in numbers:
            data = io.BytesIO(picture((number % 256, number // 256, 90)))
            ref = self.wiring.store.put(self.wiring.settings.bucket, f"{number}.png", data).ref
            events.append(ObjectEvent("created", ref.bucket, ref.key, ref.etag, sequence=f"{number:032x}"))
        self.wiring.inbox.append(events)
        with counted() as trips:
            self.dispatcher.step(1)
            for stage in STAGES:
                while self.queues.sent and self.queues.sent[0][0] == stage:
                    self.runner.run(stage, self.queues.sent.pop(0)[1].encode(), 0)
        self.trips = trips


@contextmanager
def counted() -> Iterator[list[str]]:
    """The round trips of a block."""
    Counting.trips = []
    yield Counting.trips


def test_a_batch_makes_few_round_trips_however_many_images_it_has(
    redis_url: str,
    client: Client,  # noqa: ARG001 -- empties Redis
    tmp_path: Path,
) -> None:
    world = World(Settings(home=tmp_path, redis_url=redis_url, key_prefix="test:", batch_max=64, in_flight_max=500))
    world.tag(*range(16))  # afterwards scripts are known, models loaded, and words cached
    for size in (1, 16, 48):
        world.tag(*range(100 * size, 101 * size))
        assert len(world.trips) <= MOST, "\n".join(world.trips)
    world.tag(*range(16))  # records that are replaced cost no more
    assert len(world.trips) <= MOST, "\n".join(world.trips)
    assert world.wiring.records.counts()["done"] == 16 + 1 + 16 + 48
    assert world.wiring.ledger.in_flight() == 0
    assert isinstance(world.wiring.redis, redis.Redis)
