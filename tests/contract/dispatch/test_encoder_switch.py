"""The preparation of another encoder, and the switch, on a real Redis; the second pipeline is played by the test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tasks.message_parts import ObjectRef, Revision, Tag
from vectordb.errors import Permanent
from workers.dispatch import encoder_switch
from workers.dispatch.encoder_switch import EncoderSwitch, NotQuiet
from workers.dispatch.feed_replay import FeedReplay, Replay
from workers.dispatch.preparation import Preparation, Side
from workers.images.kept_lists import KeptLists
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Record, Segmentation
from workers.lifecycle.record_reader import Records
from workers.lifecycle.statements import Statement, Statements
from workers.redis.connection import Client, text
from workers.redis.drain import Drain
from workers.redis.encoders import Encoders
from workers.redis.keys import Keys

OLD, NEW = Revision("old", "c@1"), Revision("new", "c@1")


@dataclass
class Both:
    """Both pipelines on one Redis."""

    client: Any
    keys: Keys
    now: Side
    then: Side
    clock: float = 1000.0

    def tag(
        self, side: Side, revision: Revision, key: str, *labels: str, etag: str = "1", state: Any = "done",
        segmentation: Segmentation | None = None,
    ) -> None:  # fmt: skip
        self.clock += 1
        ref = ObjectRef("inbox", key, etag)
        arrival = Arrival(ref, force=True, rule=segmentation.method if segmentation else "", from_queue=True)
        side.ledger.enter([arrival], revision, self.clock, self.clock + 60)
        tags = tuple(Tag(label, 0.5, 0.5, 0.5) for label in labels)
        record = Record(
            bucket="inbox", key=key, etag=etag, state=state, space_id=revision.space_id, captions_version="c@1",
            tags=tags, segmentation=segmentation,
        )  # fmt: skip
        assert side.ledger.finish([record], self.clock) == [True]

    def prepare(self, *, refuses: str = "", keep_refused: bool = False) -> Any:
        """Compare and submit, and tag what was submitted, until nothing is missing."""
        preparation = Preparation(self.now, self.then, "new", tick=lambda _: self.work(refuses))
        preparation.prepare()
        return preparation.complete(gently=False, keep_refused=keep_refused)

    def work(self, refuses: str = "") -> None:
        for entry, fields in self.client.xrange(self.then.keys.inbox):
            key = self.inbox_key(fields)
            etag = next(h.etag for h in self.now.records.heads.of([f"inbox/{key}"]) if h)
            state = "failed" if key == refuses else "done"
            self.tag(self.then, NEW, key, *(["new", f"new {key}"] if state == "done" else []), etag=etag, state=state)
            self.client.xdel(self.then.keys.inbox, entry)

    @staticmethod
    def inbox_key(fields: Any) -> str:
        from workers.lifecycle.inbox import decoded  # noqa: PLC0415 -- only here

        event = decoded(fields)
        assert event is not None
        return event.key

    def found(self, label: str) -> list[str]:
        return sorted(self.now.records.tag_index.tagged(label))


def side(client: Client, keys: Keys) -> Side:
    inbox = Inbox(client, keys.inbox)
    inbox.prepare()
    return Side(client, keys, Records(client, keys), Ledger(client, keys, 100), inbox)


@pytest.fixture
def both(client: Client, keys: Keys) -> Both:
    made = Both(client, keys, side(client, keys), side(client, Keys(keys.next)))
    for key in ("a", "b", "c"):
        made.tag(made.now, OLD, key, "old", f"old {key}")
    made.tag(made.now, OLD, "bad", state="failed")
    return made


def switched(both: Both) -> int:
    switcher, encoders = EncoderSwitch(both.client, both.keys, both.now.records), Encoders(both.client, both.keys)
    Drain(both.client, both.keys).begin()
    change = encoders.begin("NEW", "auto", "new", "old")
    return switcher.switch(change, ("OLD",), switcher.state(), 5000.0)


def test_records_and_the_index_by_tag_change_at_once_and_numbers_stay(both: Both) -> None:
    client, keys = both.client, both.keys
    client.set(f"{keys.prefix}api-keys", "kept")
    kept = KeptLists(client, keys)
    kept.keep(b"ranked by the old encoder", [b"a", b"b"])
    numbers = {oid: head.number for oid, head in heads(both).items()}
    lists = [client.dump(key) for key in (keys.records, keys.objects, f"{keys.prefix}numbered:0", keys.feed)]
    found = both.prepare()
    assert (found.images, found.prepared, found.missing, found.refused) == (3, 3, 0, {})
    assert both.found("old") == ["inbox/a", "inbox/b", "inbox/c"]  # nothing has changed for readers
    assert both.found("new") == []
    assert switched(both) == 3
    assert list(client.scan_iter(f"{keys.prefix}search*")) == []
    assert both.found("old") == []
    assert both.found("new") == ["inbox/a", "inbox/b", "inbox/c"]
    assert both.found("new b") == ["inbox/b"]
    assert {oid: head.number for oid, head in heads(both).items()} == numbers
    assert {head.revision for head in heads(both).values() if head.state == "done"} == {"new/c@1"}
    assert [client.dump(key) for key in (keys.records, keys.objects, f"{keys.prefix}numbered:0", keys.feed)] == lists
    assert client.get(f"{keys.prefix}api-keys") == b"kept"
    EncoderSwitch(client, keys, both.now.records).clear()
    assert list(client.scan_iter(f"{keys.next}*")) == []
    assert Encoders(client, keys).look() == "new"
    both.tag(both.now, NEW, "a", "later")  # the index is consistent: it is taken out of its lists
    assert both.found("new") == ["inbox/b", "inbox/c"]
    assert both.now.records.tag_index.common(9) != []


def test_the_feed_gets_the_replaced_records_at_a_bounded_rate(both: Both) -> None:
    both.tag(both.now, OLD, "s", "old", segmentation=Segmentation(method="dense", width=1, height=1))
    both.prepare()
    client, keys = both.client, both.keys
    switcher, before = EncoderSwitch(client, keys, both.now.records), both.now.records.feed_end()
    Drain(client, keys).begin()
    change = Encoders(client, keys).begin("NEW", "auto", "new", "old")
    switcher.switch(change, ("OLD",), switcher.state(), 5000.0, feed_rate=4.0)
    assert both.now.records.feed_end() == before  # not all at once
    now = [0.0]
    replay = FeedReplay(client, keys, both.now.records, 100, lambda: now[0])
    assert replay.step() == 2
    assert replay.step() == 0  # at 4 a second, two take half a second
    both.clock = 6000.0
    both.tag(both.now, NEW, "c", "later")  # it has its entry
    now[0] += 0.5
    again = FeedReplay(client, keys, both.now.records, 100, lambda: now[0])  # after a restart
    assert again.read() == Replay(5000.0, 4.0, 2)
    for _ in range(3):
        again.step()
        now[0] += 0.5
    assert again.read() is None
    added = [(item.oid, item.record.space_id) for item in both.now.records.feed_page(before, 100) if item.record]
    assert added == [("inbox/a", "new"), ("inbox/b", "new"), ("inbox/c", "new")]  # none of the one with segments


def test_the_feed_gets_nothing_where_none_is_wanted(both: Both) -> None:
    both.prepare()
    switched(both)
    assert FeedReplay(both.client, both.keys, both.now.records, 100).read() is None


def test_an_image_with_segments_is_segmented_again_after_a_switch(both: Both) -> None:
    """Whether the settings or a person wanted it: the switch has it tagged again, and the record says what for."""
    both.tag(both.now, OLD, "s", "old", segmentation=Segmentation(method="dense", width=1, height=1))
    both.client.set(both.now.keys.segmentation_request("inbox/r"), "dense")
    both.tag(both.now, OLD, "r", "old", segmentation=Segmentation(method="dense", width=1, height=1))
    both.prepare()
    switched(both)
    for key, rule in (("s", "dense"), ("r", "")):
        arrival = Arrival(ObjectRef("inbox", key, "1"), force=True, verified=True, rule=rule)
        assert both.now.ledger.enter([arrival], NEW, 6000.0, 6060.0) == ["waiting"]  # for its segmentation


def heads(both: Both) -> dict[str, Any]:
    oids = [text(oid) for oid in both.client.zrange(both.keys.objects, 0, -1)]
    return dict(zip(oids, both.now.records.heads.of(oids), strict=True))


def test_new_changed_and_removed_images_are_followed(both: Both) -> None:
    both.prepare()
    both.tag(both.now, OLD, "d", "old")
    both.tag(both.now, OLD, "a", "old", etag="2")
    both.now.ledger.remove(["inbox/b"])
    both.now.ledger.remove(["inbox/c"])
    both.tag(both.now, OLD, "c", "old")  # removed and there again: another number
    found = both.prepare()
    assert (found.images, found.prepared) == (3, 3)
    assert switched(both) == 3
    assert both.found("new") == ["inbox/a", "inbox/c", "inbox/d"]
    assert heads(both)["inbox/a"].etag == "2"


def test_what_people_say_is_copied(both: Both) -> None:
    said = Statements(both.client, both.keys)
    said.change("inbox/a", "Anna", Statement("Anna", accepted=True, etag="1", said_at=1.0))
    both.prepare()
    copied = Statements(both.client, both.then.keys)
    assert list(copied.all()) == list(said.all())
    assert copied.restored()
    said.change("inbox/a", "Anna", None)
    both.prepare()
    assert list(copied.all()) == []


def test_what_the_new_encoder_refuses_keeps_its_record_and_its_tags(both: Both) -> None:
    found = both.prepare(refuses="b")
    assert found.refused == {"inbox/b": "failed"}
    found = both.prepare(refuses="b", keep_refused=True)
    assert switched(both) == 3
    assert both.found("old b") == ["inbox/b"]
    assert both.found("new") == ["inbox/a", "inbox/c"]


@pytest.mark.parametrize("what", ["record", "statement", "in progress", "no drain"])
def test_it_is_refused_when_anything_has_happened_since(both: Both, what: str) -> None:
    both.prepare()
    client, keys = both.client, both.keys
    switcher = EncoderSwitch(client, keys, both.now.records)
    change = Encoders(client, keys).begin("N", "", "new", "old")
    state = switcher.state()
    Drain(client, keys).begin()
    match what:
        case "record":
            both.tag(both.now, OLD, "a", "old")
        case "statement":
            Statements(client, keys).change("inbox/a", "x", Statement("x", accepted=True, etag="1", said_at=1.0))
        case "in progress":
            both.now.ledger.enter([Arrival(ObjectRef("inbox", "z", "1"))], OLD, 1.0, 2.0)
        case _:
            Drain(client, keys).end()
    before = {key: client.dump(key) for key in client.scan_iter()}
    with pytest.raises(NotQuiet):
        switcher.switch(change, ("OLD",), state, 5000.0)
    assert {key: client.dump(key) for key in client.scan_iter()} == before


def test_an_image_that_is_not_in_the_bucket_is_refused_and_does_not_keep_the_preparation_from_ending(
    both: Both,
) -> None:
    """Its removal is held, for instance: the other pipeline finds nothing, and leaves no record."""
    work = both.work

    def skip(refuses: str = "") -> None:
        for entry, fields in both.client.xrange(both.then.keys.inbox):
            if both.inbox_key(fields) == "b":
                both.client.xdel(both.then.keys.inbox, entry)
        work(refuses)

    both.work = skip  # type: ignore[method-assign]
    found = both.prepare()
    assert (found.images, found.prepared, found.refused) == (3, 2, {"inbox/b": "missing"})
    found = both.prepare(keep_refused=True)
    assert found.refused.keys() == {"inbox/b"}
    switched(both)
    assert both.found("old") == ["inbox/b"]


def test_a_switch_that_is_repeated_because_its_answer_was_lost_has_succeeded(both: Both) -> None:
    both.prepare()
    switcher, encoders = EncoderSwitch(both.client, both.keys, both.now.records), Encoders(both.client, both.keys)
    Drain(both.client, both.keys).begin()
    change, state = encoders.begin("NEW", "auto", "new", "old"), switcher.state()
    assert switcher.switch(change, ("OLD",), state, 5000.0) == 3
    assert switcher.switch(change, ("OLD",), state, 5000.0) == 3
    with pytest.raises(NotQuiet):
        switcher.switch(change, ("OLD",), state, 6000.0)  # another command


def test_a_switch_that_would_block_redis_for_long_is_refused_before_it_begins(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    switcher = EncoderSwitch(both.client, both.keys, both.now.records)
    assert switcher.blocked_s() < 0.001
    monkeypatch.setattr(encoder_switch, "RECORD_S", 5.0)
    with pytest.raises(Permanent, match="about 20 s"):
        switcher.blocked_s()


def test_images_with_segments_and_failed_ones_keep_their_records_and_tags(both: Both) -> None:
    both.tag(both.now, OLD, "s", "old", "old s", segmentation=Segmentation(method="dense", width=1, height=1))
    found = both.prepare()
    assert (found.images, found.kept, found.prepared) == (4, 1, 4)
    both.tag(both.now, OLD, "c", state="dead")  # after it was prepared
    assert both.prepare().images == 3
    switched(both)
    assert both.found("old") == ["inbox/s"]
    assert both.found("new") == ["inbox/a", "inbox/b"]
    assert {oid: (head.state, head.revision, head.segment) for oid, head in heads(both).items()} == {
        "inbox/a": ("done", "new/c@1", ""), "inbox/b": ("done", "new/c@1", ""), "inbox/c": ("dead", "old/c@1", ""),
        "inbox/bad": ("failed", "old/c@1", ""), "inbox/s": ("done", "old/c@1", "dense"),
    }  # fmt: skip
