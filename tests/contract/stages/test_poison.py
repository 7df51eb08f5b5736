"""Pictures and models that end processes of a real worker: neighbours are done, the culprit is dead, work goes on."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.contract.poisoned_worker import CAPTION, YELLOW
from tests.contract.worker_of_colours import wired
from tests.eventually import eventually
from tests.unit.segmentation.world import RED
from workers.lifecycle.event import ObjectEvent
from workers.outages.board import OutageBoard
from workers.redis.connection import Client
from workers.settings.settings import Settings
from workers.wiring.dispatch import dispatcher as dispatcher_of
from workers.wiring.dispatch import keeper as keeper_of

pytestmark = [pytest.mark.timeout(150), pytest.mark.long]

GOOD = 5


class World:
    """Pictures of which one is yellow, and a worker in a process of its own."""

    def __init__(self, wiring: Any, log: Path) -> None:
        self.wiring, self.log = wiring, log
        self.worker: subprocess.Popen[bytes] | None = None

    def start(self, harm: str, always: str = "", what: str = "picture") -> None:
        command = [sys.executable, "-P", "-m", "tests.contract.poisoned_worker", harm, always, what]
        env = self.wiring.settings.process_environment() | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        env["PYTHONPATH"] = f"{Path(__file__).parents[3]}:{env['PYTHONPATH']}"
        with self.log.open("wb") as out:
            self.worker = subprocess.Popen(command, env=env, stdout=out, stderr=out, start_new_session=True)
        colours = [(30 + n, 200, 40) for n in range(GOOD)] + [YELLOW if what == "picture" else RED]
        infos = []
        for n, colour in enumerate(colours):
            file = io.BytesIO()
            Image.new("RGB", (32, 32), colour).save(file, "PNG")
            file.seek(0)
            infos.append(self.wiring.store.put("inbox", f"{n}.png", file))
        for inbox in (self.wiring.inbox, self.wiring.low_priority_inbox):
            inbox.prepare()
        self.wiring.inbox.append([ObjectEvent.seen(info) for info in infos])
        dispatcher, sent = dispatcher_of(self.wiring, "me"), 0
        while sent < len(infos):
            sent += dispatcher.step(block_ms=10)
        self.keeper = keeper_of(self.wiring)

    def step(self) -> None:
        for stage in ("embedding", "retrieval", "extraction", "scoring"):
            self.wiring.health.beat(stage)
        self.keeper.step()

    def dead(self) -> Any:
        self.step()
        (record,) = self.wiring.records.get([f"inbox/{GOOD}.png"])
        return record

    def paused(self) -> bool:
        """Whether a stage says, three times, that its model does not work."""
        self.step()
        board = OutageBoard(self.wiring.redis, self.wiring.keys, "test-1", self.wiring.clock)
        return any("3 trials in vain" in one.reason for one in board.read() if one.name == "model")

    def stop(self) -> None:
        if self.worker is not None:
            os.killpg(self.worker.pid, signal.SIGKILL)
            self.worker.wait(10)


@pytest.fixture
def world(redis_url: str, client: Client, tmp_path: Path) -> Iterator[World]:
    assert client.dbsize() == 0
    (tmp_path / "inbox").mkdir()
    settings = Settings.model_validate({
        "redis_url": redis_url, "broker_url": redis_url.replace("unix://", "redis+socket://"), "key_prefix": "test:",
        "home": tmp_path, "inbox": tmp_path / "inbox", "qdrant_url": "http://127.0.0.1:1", "batch_max": 8,
        "max_attempts": 2, "deadline_s": 300, "stage_time_limits": "embedding=5,extraction=5",
        "worker_memory_mib": 600,
    })  # fmt: skip
    made = World(wired(settings), tmp_path / "log")
    made.wiring.layout.require()
    made.wiring.layout.renew()
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("harm", "how"), [("segfault", "was ended by SIGSEGV"), ("hang", "longer than 5 s"), ("eat", "MiB of memory")]
)
def test_a_poisonous_picture_is_dead_and_its_neighbours_are_done(
    world: World, client: Any, harm: str, how: str
) -> None:
    world.start(harm)
    record = eventually(world.dead, 100, world.log.read_text)
    assert (record.state, record.error.code) == ("dead", "poisonous")
    assert how in record.error.reason
    entries = [client.hmget(f"test:entry:inbox/{n}.png", "queue", "attempts") for n in range(GOOD)]
    assert entries == [[b"retrieval", b"1"]] * GOOD
    assert world.worker is not None
    assert world.worker.poll() is None, "the worker lives on"


def test_a_model_that_always_crashes_pauses_its_stage_and_makes_nothing_dead(world: World, client: Any) -> None:
    world.start("segfault", "always")
    eventually(world.paused, 100, world.log.read_text)
    assert client.zcard("test:ledger") == GOOD + 1, "none has a record"
    attempts = {client.hget(f"test:entry:inbox/{n}.png", "attempts") for n in range(GOOD + 1)}
    assert attempts <= {b"0", b"1"}


@pytest.mark.parametrize("harm", ["segfault", "hang"])
def test_a_poisonous_caption_is_skipped_and_its_picture_is_tagged(world: World, client: Any, harm: str) -> None:
    world.start(harm, what="caption")

    def extracted() -> bool:
        world.step()
        return all(client.hget(f"test:entry:inbox/{n}.png", "queue") == b"scoring" for n in range(GOOD + 1))

    eventually(extracted, 100, world.log.read_text)
    (skipped,) = world.wiring.skipped_captions.all()
    assert skipped.caption == CAPTION
    assert client.zcard("test:ledger") == GOOD + 1, "none is dead"
    assert world.worker is not None
    assert world.worker.poll() is None, "the worker lives on"


def test_a_parser_that_always_crashes_pauses_extraction(world: World, client: Any) -> None:
    world.start("segfault", "always", what="caption")
    eventually(world.paused, 140, world.log.read_text)
    assert client.zcard("test:ledger") == GOOD + 1, "none has a record"
    assert world.wiring.skipped_captions.all() == []
