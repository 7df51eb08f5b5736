"""A dispatcher and workers on the partitions of a Redis Cluster, in one process: no queue, no model."""

from __future__ import annotations

import io
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from redis.crc import key_slot

from tasks.message_parts import ObjectRef, Tag
from tasks.messages import Batch
from tests.contract.own_cluster import PREFIX, OwnCluster
from tests.contract.redis.cluster_objects import REVISION
from tests.eventually import eventually
from vectordb.errors import Transient
from workers.dispatch.dispatcher import Dispatcher
from workers.dispatch.event_filter import EventFilter
from workers.dispatch.keeper import Keeper
from workers.dispatch.pace import Pace
from workers.dispatch.removals import RemovalGuard
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.record import Record
from workers.processes.loops import Once, Periodic, Stop, run_steps
from workers.processes.partition_watch import watching
from workers.settings.settings import Settings
from workers.wiring.dispatch import limits, segment_queue, sweeper
from workers.wiring.wiring import Wiring

PARTITIONS = 4
LABELS = 7


def slot_of(partition: int) -> int:
    """The slot of a partition's keys."""
    return int(key_slot(f"{PREFIX.removesuffix('}:')}:{partition}}}:".encode()))


class Queue:
    """Takes the batches that the dispatcher sends, for a worker in another thread."""

    def __init__(self) -> None:
        self._refs: list[ObjectRef] = []
        self._changed = threading.Condition()

    def send(self, stage: str, batch: Batch) -> None:  # noqa: ARG002 -- the Protocol's
        with self._changed:
            self._refs += batch.objects
            self._changed.notify_all()

    def queued(self, stage: str) -> int:  # noqa: ARG002 -- the Protocol's
        return len(self._refs)

    def probe(self, stage: str, lifetime: float) -> None:
        """No worker is silent here."""

    def take(self, count: int) -> list[ObjectRef]:
        """The next objects; waits a short time for them."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._refs), 0.05)
            taken, self._refs = self._refs[:count], self._refs[count:]
            return taken


class PartitionedWorld:
    """One bucket in a folder, on ``PARTITIONS`` partitions of a cluster."""

    def __init__(self, cluster: OwnCluster, folder: Path, *, deadline_s: float = 10.0) -> None:
        self.settings = Settings(
            home=folder, inbox=folder / "inbox", redis_url=cluster.url, key_prefix=PREFIX, partitions=PARTITIONS,
            broker_url="redis://127.0.0.1:1", deadline_s=deadline_s,
        )  # fmt: skip
        (folder / "inbox").mkdir(exist_ok=True)
        self.cluster = cluster
        self.queue = Queue()
        self.wiring = self._wiring()
        self.other = self._wiring()  # of the workers and of whoever looks: another process
        self.numbers = itertools.count()
        self.put_numbers: list[int] = []
        self.finished: list[tuple[float, str]] = []
        """When which record was written, as its worker knows."""

    def _wiring(self) -> Wiring:
        made = Wiring(self.settings)
        made.publisher = self.queue  # type: ignore[assignment]  # what the tests need of it
        made.layout.require()
        return made

    @contextmanager
    def running(self) -> Iterator[None]:
        """Dispatch, keep, relay and work meanwhile. A fault that is no outage fails the block."""
        stop, failed = Stop(), list[Exception]()

        def guarded(call: Callable[[], object]) -> None:
            try:
                call()
            except Exception as exc:
                failed.append(exc)
                stop.set()

        threads = [threading.Thread(target=guarded, args=(one,)) for one in (
            lambda: self._dispatch(stop), lambda: self._work(stop),
        )]  # fmt: skip
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join(60)
        assert failed == []

    def _dispatch(self, stop: Stop) -> None:
        w, s = self.wiring, self.settings
        pace = Pace(8, 5, 200, s.deadline_s)
        dispatcher = Dispatcher(
            w.inbox, w.low_priority_inbox, segment_queue(w), w.ledger, w.store, w.artifacts, self.queue,
            w.event_sink, EventFilter(w.redis, w.keys, w.event_sink, w.clock, w.records.known),
            RemovalGuard(w.store, w.records, w.holds, w.redis, w.keys, limits(s), w.clock, None, w.interrupted),
            lambda: REVISION, lambda _: True, lambda _: "", pace, "me", w.clock, w.outage_tracker,
        )  # fmt: skip
        keeper = Keeper(
            w.ledger, w.inbox, w.health, self.queue, lambda: REVISION, stages=("embedding",),
            deadline_s=s.deadline_s, max_attempts=100, give_up_s=3600.0, clock=w.clock, away=w.outages.common,
        )  # fmt: skip
        beating = Periodic(0.5, lambda: w.health.beat("embedding"))
        with watching(w, stop):
            run_steps(
                stop, w.outage_tracker, lambda: dispatcher.step(block_ms=200),
                Once(w.inbox.prepare), Once(w.low_priority_inbox.prepare), beating, Periodic(0.5, keeper.step),
                Periodic(1.0, lambda: dispatcher.recover(3000)), Periodic(0.2, w.data_loss.step),
                *(Periodic(0.2, held.step) for held in w.held_events),
            )  # fmt: skip

    def _work(self, stop: Stop) -> None:
        """A worker: it tags what is sent, and drops what it cannot finish, as one that is killed."""
        ledger = self.other.ledger
        while not stop.is_set():
            refs = self.queue.take(8)
            if refs:
                try:
                    now = self.other.clock()
                    ledger.advance(refs, REVISION, "embedding", now + self.settings.deadline_s, now=now, begin=True)
                    written = ledger.finish([record(ref) for ref in refs], self.other.clock())
                    self.finished += [
                        (time.monotonic(), ref.id) for ref, one in zip(refs, written, strict=True) if one
                    ]
                except Transient:
                    continue

    def put(self, count: int) -> None:
        """Put images into the bucket and report them."""
        events = []
        for _ in range(count):
            number = next(self.numbers)
            info = self.wiring.store.put(self.settings.bucket, f"{number}.jpg", io.BytesIO(str(number).encode()))
            events.append(ObjectEvent.seen(info))
            self.put_numbers.append(number)

        def reported() -> bool:
            self.other.inbox.append(events)
            return True

        eventually(reported, 60, despite=(Transient,))

    def compare(self) -> int:
        """Compare the bucket with its records; returns the number of images that were found without one."""
        sweep = sweeper(self.other, resume=False)
        while not sweep.step(5.0):
            pass
        sweep.release()
        return sweep.progress.sent

    def done(self) -> int:
        """Number of tagged images."""
        return self.other.records.counts()["done"]

    def move(self, slot: int) -> None:
        """Move a slot to another node, a few keys at a time."""
        owner = self.cluster.owner(slot)
        to = next(node for node in self.cluster.primaries if node is not owner and node.process is not None)
        for _ in self.cluster.move(to, slot, at_once=5):
            pass

    def assert_complete(self) -> None:
        """Every image has one record, is found by its label, and was reported once."""
        records = self.other.records
        expected = sorted(f"{n}.jpg" for n in self.put_numbers)
        eventually(lambda: len(self.feed()) >= len(expected), 30)
        assert sorted(one.key for one in records.latest()) == expected
        counts = records.counts()
        assert (counts["done"], counts["in_flight"], counts["dead"]) == (len(expected), 0, 0)
        eventually(lambda: self.other.inbox.length() == 0, 30)
        labels = Counter(label_of(f"{n}.jpg") for n in self.put_numbers)
        assert dict(records.tag_index.common()) == labels
        assert Counter(self.feed()) == Counter(f"{self.settings.bucket}/{key}" for key in expected)

    def feed(self) -> list[str]:
        """The objects that the feed for clients has told of."""
        return [item.oid for item in self.other.records.feed_page("0", 100_000)]


def label_of(key: str) -> str:
    return f"label{int(key.partition('.')[0]) % LABELS}"


def record(ref: ObjectRef) -> Record:
    return Record(
        bucket=ref.bucket, key=ref.key, etag=ref.etag, state="done", space_id=REVISION.space_id,
        captions_version=REVISION.captions_version, tags=(Tag(label_of(ref.key), 0.5, 0.5, 0.5),),
    )  # fmt: skip
