"""Separate processes on a Redis Cluster of three nodes, as on several machines, while images flow."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from tests.acceptance.images import drop
from tests.acceptance.stack import Stack
from tests.acceptance.test_nothing_is_lost import variants
from tests.contract.own_cluster import PREFIX, SLOT, OwnCluster, own_cluster
from tests.contract.redis.partitioned_world import slot_of
from tests.eventually import eventually
from workers.embedded.ports import free_port
from workers.embedded.redis_server import PrivateRedis
from workers.embedded.stack import command
from workers.redis.connection import StoreUnavailable
from workers.settings.settings import STAGES, Settings
from workers.wiring.wiring import Wiring

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]
IMAGES = 90


@pytest.fixture
def own() -> Iterator[OwnCluster]:
    """A cluster with a replica of each node."""
    with own_cluster(replicas=True) as made:
        yield made


class Processes:
    """The processes of wildtag, each by its own command. Their broker is a Redis that is no cluster."""

    def __init__(self, stack: Stack, cluster: OwnCluster, folder: Path, partitions: int) -> None:
        self.partitions = partitions
        self._log = folder / "processes.log"
        self._running = ExitStack()
        broker = PrivateRedis(folder / "broker")
        self._environment = {
            **stack.environment, "WILDTAG_REDIS_URL": cluster.url, "WILDTAG_KEY_PREFIX": PREFIX,
            "WILDTAG_BROKER_URL": broker.broker_url, "WILDTAG_PARTITIONS": str(partitions),
        }  # fmt: skip
        self._start(str(broker.program.path), str(broker.configuration))
        eventually(broker.client().ping, 20, despite=(redis.RedisError,))
        for stage in STAGES:
            self._start(*command("worker", stage))
        for name in ("dispatcher", "watcher", "gateway"):
            self._start(*command(name))
        self.records = Wiring(
            Settings(home=folder, redis_url=cluster.url, key_prefix=PREFIX, partitions=partitions,
                     broker_url=broker.broker_url)
        ).records  # fmt: skip

    @property
    def slots(self) -> list[int]:
        """Those that are moved: of all keys, or of one partition and of what belongs to none."""
        return [SLOT] if self.partitions == 1 else [slot_of(1), SLOT]

    def done(self) -> int:
        """Number of tagged images."""
        return self.records.counts()["done"]

    def said(self) -> str:
        """The end of what they logged."""
        return self._log.read_text(errors="replace")[-8000:]

    def status(self) -> subprocess.CompletedProcess[str]:
        """What ``wildtag status`` says."""
        return subprocess.run(
            command("status"), env=self._environment, capture_output=True, text=True, timeout=60, check=False
        )

    def end(self) -> None:
        """End them all."""
        self._running.close()

    def _start(self, *arguments: str) -> None:
        out = self._running.enter_context(self._log.open("ab"))
        process = subprocess.Popen(arguments, env=self._environment, stdout=out, stderr=out)

        def end() -> None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

        self._running.callback(end)


@pytest.fixture(params=[1, 4])
def processes(
    request: pytest.FixtureRequest, make_stack: Callable[..., Stack], own: OwnCluster, tmp_path: Path
) -> Iterator[tuple[Stack, Processes]]:
    """On one partition, and on several."""
    stack = make_stack(
        WILDTAG_DEADLINE_S="20", WILDTAG_BATCH_MAX="4", WILDTAG_GATEWAY_PORT=str(free_port(0)), WILDTAG_RESCAN_S="5"
    )
    stack.inbox.mkdir()
    made = Processes(stack, own, tmp_path, request.param)
    try:
        yield stack, made
    finally:
        made.end()


def until_done(processes: Processes, count: int) -> None:
    eventually(
        lambda: processes.done() >= count, 300, processes.said, every_s=0.1, despite=(StoreUnavailable,)
    )  # fmt: skip


def test_a_resharding_costs_no_image(processes: tuple[Stack, Processes], own: OwnCluster) -> None:
    stack, running = processes
    for number, data in enumerate(variants(IMAGES)):
        drop(stack.inbox, f"{number}.jpg", data)
        if number in {IMAGES // 3, 2 * IMAGES // 3}:
            until_done(running, number // 3)
            for slot in running.slots:
                owner = own.owner(slot)
                to = next(node for node in own.primaries if node is not owner)
                for _ in own.move(to, slot, at_once=2):
                    pass
    until_done(running, IMAGES)
    feed = eventually(
        lambda: found if len(found := running.records.feed_page("0", 1_000)) >= IMAGES else None, 30, running.said
    )
    assert feed is not None
    assert Counter(item.oid for item in feed) == Counter(f"inbox/{n}.jpg" for n in range(IMAGES))
    assert running.records.counts()["dead"] == 0
    assert running.status().returncode == 0, running.status()


def test_a_node_that_is_killed_costs_no_image(processes: tuple[Stack, Processes], own: OwnCluster) -> None:
    stack, running = processes
    for number, data in enumerate(variants(IMAGES)):
        drop(stack.inbox, f"{number}.jpg", data)
        if number == IMAGES // 2:
            until_done(running, number // 3)
            own.owner(running.slots[0]).kill()
    until_done(running, IMAGES)
    known = {record.key: record.state for record in running.records.latest()}
    assert known == dict.fromkeys((f"{n}.jpg" for n in range(IMAGES)), "done")
