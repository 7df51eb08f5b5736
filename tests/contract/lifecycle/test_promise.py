"""Whatever is lost, late, repeated or reordered: each object ends with one record of the version in the bucket.

Its tags were made after the last order to tag it again. What is not in the bucket has no record.

The dispatcher, the inboxes and the ledger are the real ones. The bucket and the workers are models: a worker carries
what it has found, as it was then, until it writes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tasks.message_parts import ObjectRef, Revision
from tasks.messages import Batch
from tests.contract.lifecycle.test_ledger import record
from workers.dispatch.dispatcher import Dispatcher
from workers.dispatch.event_filter import EventFilter
from workers.dispatch.pace import Pace
from workers.events.sink import EventSink
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import Inbox, LowPriorityInbox
from workers.lifecycle.ledger import Ledger
from workers.lifecycle.record_reader import Records
from workers.lifecycle.retag_marks import RetagMarks
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.segmentation.queue import SegmentQueue
from workers.stores.store import ObjectInfo

REVISION = Revision("space", "captions@1")
KEYS = "ab"
DEADLINE_S = 60.0


@dataclass
class Message:
    """A message of one object. ``knows``: the last order that had been given when its captions were looked up."""

    ref: ObjectRef
    stage: str
    knows: int = -1


@dataclass
class Model:
    """The bucket, the queues, and what is on its way to the inbox."""

    client: Client
    keys: Keys
    bucket: dict[str, ObjectInfo] = field(default_factory=dict)
    queue: list[Message] = field(default_factory=list)
    on_its_way: list[ObjectEvent] = field(default_factory=list)
    orders: dict[str, int] = field(default_factory=dict)
    ordered: int = 0
    written: int = 0
    now: float = 1000.0

    def __post_init__(self) -> None:
        client, keys = self.client, self.keys
        self.inbox = Inbox(client, keys.inbox, RetagMarks(client, keys))
        self.low = LowPriorityInbox(client, keys)
        for inbox in (self.inbox, self.low):
            inbox.prepare()
        self.ledger, self.records = Ledger(client, keys, 100), Records(client, keys)
        sink = EventSink(client, keys)
        self.dispatcher = Dispatcher(
            self.inbox, self.low, SegmentQueue(client, keys, self.ledger, 2, lambda: self.now), self.ledger,
            self, self, self, sink, EventFilter(client, keys, sink, lambda: self.now), self,  # type: ignore[arg-type]
            lambda: REVISION, lambda _: True, lambda _: "", Pace(4, 0, 100, deadline_s=DEADLINE_S), "me",
            lambda: self.now,
        )  # fmt: skip

    # what the dispatcher needs

    def stat(self, _: str, key: str) -> ObjectInfo | None:
        return self.bucket.get(key)

    def send(self, stage: str, batch: Batch) -> None:
        self.queue += [Message(ref, stage) for ref in batch.objects]

    def forget(self, oids: list[str]) -> None:
        """There are no artifacts."""

    def believed(self, removals: list[str], _: object) -> list[str]:
        return removals

    # what happens

    def put(self, key: str, etag: str | None = None) -> None:
        """``etag``: of a version that was there before, which is stored again."""
        self.written += 1
        info = ObjectInfo(ObjectRef("inbox", key, etag or f"{key}{self.written}"), f"{self.written:032x}")
        self.bucket[key] = info
        self.on_its_way.append(ObjectEvent("created", "inbox", key, info.ref.etag, sequence=info.sequence))

    def remove(self, key: str) -> None:
        if self.bucket.pop(key, None) is not None:
            self.written += 1
            self.on_its_way.append(ObjectEvent("removed", "inbox", key, sequence=f"{self.written:032x}"))

    def rename(self, key: str, other: str) -> None:
        if key in self.bucket:
            self.put(other)
            self.remove(key)

    def order(self, key: str, inbox: Inbox) -> None:
        """Somebody orders that an object is tagged again, and everything that was begun before is too old."""
        self.ordered += 1
        self.orders[key] = self.ordered
        inbox.append([ObjectEvent("created", "inbox", key, force=True)], mark=True)

    def order_all(self) -> None:
        """As teaching does: what has a record is ordered, what is in progress is marked."""
        self.ordered += 1
        self.orders |= dict.fromkeys(KEYS, self.ordered)
        self.ledger.tag_again()
        known = self.records.known([f"inbox/{key}" for key in KEYS])
        self.low.append([ObjectEvent("created", "inbox", key, force=True)
                         for key, (etag, _) in zip(KEYS, known, strict=True) if etag])  # fmt: skip

    def arrive(self, place: int, *, keep: bool) -> None:
        """An event arrives, perhaps not for the last time."""
        if self.on_its_way:
            place %= len(self.on_its_way)
            self.inbox.append([self.on_its_way[place]])
            if not keep:
                del self.on_its_way[place]

    def lose_event(self, place: int) -> None:
        if self.on_its_way:
            del self.on_its_way[place % len(self.on_its_way)]

    def work(self, place: int, *, keep: bool = False) -> None:
        """A worker takes a step with a message, which may be delivered again."""
        if not self.queue:
            return
        place %= len(self.queue)
        message = self.queue[place] if keep else self.queue.pop(place)
        ref, stage = message.ref, message.stage
        (accepted,) = self.ledger.advance(
            [ref], REVISION, stage, self.now + DEADLINE_S, now=self.now, begin=stage == "embedding"
        )
        if accepted is None:
            return
        if stage == "embedding":
            info = self.bucket.get(ref.key)
            if info is None:
                self.inbox.append([ObjectEvent("removed", "inbox", ref.key, verified=True)])
            elif info.ref.etag != ref.etag:
                self.inbox.append([ObjectEvent.seen(info)])
            else:
                self.queue.append(Message(ref, "retrieval"))
        elif stage == "retrieval":
            self.queue.append(Message(ref, "scoring", self.ordered))
        else:
            self.ledger.finish([record(ref, f"knows {message.knows}")], self.now)

    def lose_message(self, place: int) -> None:
        if self.queue:
            del self.queue[place % len(self.queue)]

    def resend(self) -> None:
        """As the keeper does."""
        self.now += DEADLINE_S + 1
        for overdue in self.ledger.overdue(self.now, self.now + DEADLINE_S):
            self.ledger.put_on("embedding", [overdue.ref], REVISION, self.now, "again")
            self.queue.append(Message(overdue.ref, "embedding"))

    def sweep(self) -> None:
        """As the comparison of the bucket does."""
        events = [ObjectEvent.seen(info) for info in self.bucket.values()]
        known = self.records.known([f"inbox/{key}" for key in KEYS])
        recorded = [key for key, (etag, _) in zip(KEYS, known, strict=True) if etag]
        events += [ObjectEvent("removed", "inbox", key) for key in recorded if key not in self.bucket]
        self.inbox.append(events)

    def dispatch(self) -> None:
        self.now += 0.01
        if self.inbox.length() or self.low.length():  # otherwise it would wait
            self.dispatcher.step(block_ms=1)

    def settle(self) -> None:
        """Until nothing is left to be done."""
        self.on_its_way.clear()
        self.sweep()
        for _ in range(300):
            while self.inbox.length() or self.low.length():
                self.dispatch()
            while self.queue:
                self.work(0)
            if not self.inbox.length() and not self.low.length():
                if not self.ledger.in_flight():
                    return
                self.resend()
        raise AssertionError("it goes on for ever")

    def happen(self, step: str, key: str, n: int) -> None:  # noqa: C901, PLR0912 -- a table
        """One of ``STEPS``."""
        match step:
            case "put":
                self.put(key)
            case "put back":
                self.put(key, f"{key}{n}")
            case "remove":
                self.remove(key)
            case "rename":
                self.rename(key, KEYS[1 - KEYS.index(key)])
            case "order":
                self.order(key, self.low)
            case "order at once":
                self.order(key, self.inbox)
            case "order all":
                self.order_all()
            case "arrive":
                self.arrive(n, keep=False)
            case "arrive twice":
                self.arrive(n, keep=True)
            case "lose event":
                self.lose_event(n)
            case "dispatch":
                self.dispatch()
            case "work":
                self.work(n)
            case "work twice":
                self.work(n, keep=True)
            case "lose message":
                self.lose_message(n)
            case "resend":
                self.resend()
            case "sweep":
                self.sweep()


STEPS = (
    "put", "put back", "remove", "rename", "order", "order at once", "order all", "arrive", "arrive twice",
    "lose event", "dispatch", "work", "work twice", "lose message", "resend", "sweep",
)  # fmt: skip
USUAL = ("arrive", "dispatch", "dispatch", "work", "work", "work", "order")
HAPPENS = st.lists(
    st.tuples(st.sampled_from([*STEPS, *USUAL]), st.sampled_from(KEYS), st.integers(0, 3)), max_size=40
)


def told(model: Model, key: str) -> tuple[str, int] | None:
    """The version of a record, and what it knows."""
    (found,) = model.records.get([f"inbox/{key}"])
    return None if found is None else (found.etag, int(found.tags[0].label.removeprefix("knows ")))


def check(client: Client, keys: Keys, happens: list[tuple[str, str, int]]) -> None:
    client.flushall()
    model = Model(client, keys)
    for step, key, number in happens:
        model.happen(step, key, number)
    model.settle()
    for key in KEYS:
        found, info = told(model, key), model.bucket.get(key)
        assert (None if found is None else found[0]) == (None if info is None else info.ref.etag), key
        assert found is None or found[1] >= model.orders.get(key, 0), key
    assert client.zcard(keys.objects) == len(model.bucket)
    assert client.hlen(keys.retag_marks) == client.hlen(keys.low_priority_once) == 0


@pytest.mark.parametrize("url", ["server"], indirect=True)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([("put", "a", 0), ("arrive", "a", 0), ("dispatch", "a", 0), ("work", "a", 0), ("work", "a", 0),
          ("order", "a", 0), ("dispatch", "a", 0), ("work", "a", 0)])  # fmt: skip
@example([("put", "a", 0), ("arrive", "a", 0), ("dispatch", "a", 0), ("work", "a", 0), ("work", "a", 0),
          ("order all", "a", 0), ("work", "a", 0)])  # fmt: skip
@given(HAPPENS)
def test_the_promise_is_kept(client: Client, keys: Keys, happens: list[tuple[str, str, int]]) -> None:
    check(client, keys, happens)


@pytest.mark.long
@pytest.mark.parametrize("url", ["server"], indirect=True)
@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(HAPPENS)
def test_the_promise_is_kept_in_many_histories(
    client: Client, keys: Keys, happens: list[tuple[str, str, int]]
) -> None:
    check(client, keys, happens)
