"""What is forced while it is in progress is tagged once more afterwards, and once only."""

from __future__ import annotations

from tasks.message_parts import ObjectRef, Revision
from tests.contract.lifecycle.test_ledger import REVISION, enter, record, ref
from tests.contract.partitioned import keys_of
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import LowPriorityInbox
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.progress import ProgressReader
from workers.redis.connection import Client
from workers.redis.keys import Keys

ORDER = ObjectEvent("created", "inbox", "cat.jpg", force=True)


def begin(ledger: Ledger, of: ObjectRef, *stages: str) -> None:
    for stage in stages:
        assert ledger.advance([of], REVISION, stage, 200.0, now=100.0) != [None], stage


def inbox_of(client: Client, keys: Keys, of: ObjectRef) -> LowPriorityInbox:
    inbox = LowPriorityInbox(client, keys_of(keys, of.id))
    inbox.prepare()
    return inbox


def read(inbox: LowPriorityInbox) -> list[ObjectEvent]:
    entries = inbox.read("me", 100, None)
    inbox.done([entry for entry, _ in entries])
    inbox.unmark(entries)
    return [event for _, event in entries]


def states(client: Client, keys: Keys, of: ObjectRef) -> list[str]:
    return [one.state for one in ProgressReader(client, keys_of(keys, of.id)).look([of.id]) if one is not None]


def test_what_is_forced_while_a_worker_has_it_is_tagged_once_more(ledger: Ledger, client: Client, keys: Keys) -> None:
    cat = ref("a")
    inbox = inbox_of(client, keys, cat)
    enter(ledger, Arrival(cat))
    begin(ledger, cat, "embedding", "retrieval")
    for _ in range(3):  # however often
        assert enter(ledger, Arrival(cat, verified=True, force=True)) == ["afterwards"]
    assert inbox.length() == 0
    assert ledger.finish([record(cat, "old")], 101.0) == [True]
    assert ledger.in_flight() == 0
    assert states(client, keys, cat) == ["queued"]  # so that no batch counts it as finished
    assert read(inbox) == [ORDER]
    assert enter(ledger, Arrival(cat, verified=True, force=True)) == ["known"]
    begin(ledger, cat, "retrieval")
    assert ledger.finish([record(cat, "new")], 102.0) == [True]
    assert inbox.length() == 0
    assert states(client, keys, cat) == ["done"]


def test_what_no_worker_has_begun_is_tagged_once(ledger: Ledger, client: Client, keys: Keys) -> None:
    cat = ref("a")
    inbox = inbox_of(client, keys, cat)
    enter(ledger, Arrival(cat))
    assert ledger.tag_again() == 0
    assert enter(ledger, Arrival(cat, verified=True, force=True)) == ["again"]
    begin(ledger, cat, "embedding")
    ledger.postpone([cat], REVISION, 170.0, "the store is away", now=101.0)  # it begins from the first stage
    assert ledger.tag_again() == 0
    assert enter(ledger, Arrival(cat, verified=True, force=True)) == ["again"]
    ledger.finish([record(cat, "cat")], 102.0)
    assert inbox.length() == 0


def test_a_result_that_waits_at_a_later_stage_counts_as_begun(ledger: Ledger, client: Client, keys: Keys) -> None:
    cat = ref("a")
    inbox = inbox_of(client, keys, cat)
    enter(ledger, Arrival(cat))
    begin(ledger, cat, "embedding", "retrieval", "scoring")
    ledger.postpone([cat], REVISION, 170.0, "redis was away", now=101.0)
    assert enter(ledger, Arrival(cat, verified=True, force=True)) == ["afterwards"]
    ledger.finish([record(cat, "cat")], 102.0)
    assert read(inbox) == [ORDER]


def test_all_in_progress_are_tagged_once_more(ledger: Ledger, client: Client, keys: Keys) -> None:
    begun = [ref("a", f"{number}.jpg") for number in range(20)]
    fresh = ref("a", "fresh.jpg")
    enter(ledger, *map(Arrival, [*begun, fresh]))
    for one in begun:
        begin(ledger, one, "embedding", "retrieval")
    assert ledger.tag_again() == ledger.tag_again(REVISION) == len(begun)
    assert ledger.finish([record(one, "cat") for one in [*begun, fresh]], 101.0) == [True] * 21
    assert {event.id for one in begun for event in read(inbox_of(client, keys, one))} == {one.id for one in begun}
    assert inbox_of(client, keys, fresh).length() == 0


def test_what_waits_for_captions_that_were_switched_is_tagged_once_more(
    ledger: Ledger, client: Client, keys: Keys
) -> None:
    cat = ref("a")
    enter(ledger, Arrival(cat))
    assert ledger.tag_again(Revision("space", "captions@2")) == 1
    ledger.finish([record(cat, "old")], 101.0)
    assert read(inbox_of(client, keys, cat)) == [ORDER]


def test_a_failed_object_is_tagged_once_more_and_a_removed_one_is_not(
    ledger: Ledger, client: Client, keys: Keys
) -> None:
    cat, dog = ref("a"), ref("a", "dog.jpg")
    for one in (cat, dog):
        enter(ledger, Arrival(one))
        begin(ledger, one, "embedding")
        assert enter(ledger, Arrival(one, verified=True, force=True)) == ["afterwards"]
    assert ledger.finish([record(cat)], 101.0) == [True]
    ledger.remove([dog.id])
    assert read(inbox_of(client, keys, cat)) == [ORDER]
    assert read(inbox_of(client, keys, dog)) == []


def test_a_result_that_was_begun_before_an_object_was_forced_does_not_count(ledger: Ledger) -> None:
    """Messages may come twice: the second one of an earlier round is no result of this one."""
    cat = ref("a")
    enter(ledger, Arrival(cat))
    begin(ledger, cat, "embedding", "retrieval", "extraction")
    ledger.finish([record(cat, "old")], 101.0)
    assert enter(ledger, Arrival(cat, verified=True, force=True)) == ["known"]
    assert ledger.advance([cat], REVISION, "scoring", 200.0, now=102.0) == [None]
    begin(ledger, cat, "retrieval", "extraction", "scoring")
    assert ledger.finish([record(cat, "new")], 103.0) == [True]


def test_what_is_forced_stays_forced_when_another_version_comes_and_goes(ledger: Ledger) -> None:
    """The record is of the version in the bucket, but from before the order to tag the object again."""
    enter(ledger, Arrival(ref("a")))
    ledger.finish([record(ref("a"), "old")], 101.0)
    enter(ledger, Arrival(ref("b"), verified=True))
    begin(ledger, ref("b"), "embedding", "retrieval")
    assert enter(ledger, Arrival(ref("b"), verified=True, force=True)) == ["afterwards"]
    assert enter(ledger, Arrival(ref("a"), verified=True)) == ["known"]
    assert ledger.finish([record(ref("b"), "late")], 102.0) == [False]
    assert ledger.finish([record(ref("a"), "new")], 103.0) == [True]
    assert ledger.in_flight() == 0


def test_an_entry_of_an_older_release_is_tagged_once_more_too(ledger: Ledger, client: Client, keys: Keys) -> None:
    cat = ref("a")
    inbox = inbox_of(client, keys, cat)
    enter(ledger, Arrival(cat, force=True))
    client.hdel(keys.entry(cat.id), "forced", "queue", "since")
    begin(ledger, cat, "embedding")
    assert enter(ledger, Arrival(cat, verified=True, force=True)) == ["afterwards"]
    ledger.finish([record(cat, "cat")], 101.0)
    assert read(inbox) == [ORDER]


def test_an_order_that_waits_is_met_by_a_round_that_begins(ledger: Ledger, client: Client, keys: Keys) -> None:
    cat = ref("a")
    inbox = inbox_of(client, keys, cat)
    enter(ledger, Arrival(cat))
    ledger.finish([record(cat, "old")], 101.0)
    inbox.append([ORDER], mark=True)
    assert states(client, keys, cat) == ["queued"]
    assert enter(ledger, Arrival(ref("b"), verified=True)) == ["entered"]
    assert inbox.length() == 0
    inbox.append([ORDER])  # a later one is not
    assert inbox.length() == 1


def test_an_order_that_waits_outlives_a_version_of_which_only_an_event_speaks(
    ledger: Ledger, client: Client, keys: Keys
) -> None:
    cat = ref("a")
    inbox = inbox_of(client, keys, cat)
    enter(ledger, Arrival(cat))
    ledger.finish([record(cat, "old")], 101.0)
    inbox.append([ORDER])
    assert enter(ledger, Arrival(ref("older"))) == ["entered"]
    assert inbox.length() == 1
    assert enter(ledger, Arrival(cat, verified=True)) == ["done"]
    assert read(inbox) == [ORDER]


def test_an_order_from_before_and_one_from_finishing_are_one(ledger: Ledger, client: Client, keys: Keys) -> None:
    cat = ref("a")
    inbox = inbox_of(client, keys, cat)
    enter(ledger, Arrival(cat))
    begin(ledger, cat, "embedding")
    inbox.append([ORDER])
    ledger.tag_again()
    ledger.finish([record(cat, "cat")], 101.0)
    assert inbox.length() == 1
    assert states(client, keys, cat) == ["queued"]
    assert read(inbox) == [ORDER]
    assert states(client, keys, cat) == ["done"]


def test_another_revision_is_no_result_that_is_waited_for(ledger: Ledger, client: Client, keys: Keys) -> None:
    cat, newer = ref("a"), Revision("space", "captions@2")
    inbox = inbox_of(client, keys, cat)
    enter(ledger, Arrival(cat))
    begin(ledger, cat, "embedding", "retrieval")
    assert enter(ledger, Arrival(cat, verified=True, force=True), revision=newer) == ["entered"]
    assert ledger.finish([record(cat, "old")], 101.0) == [False]
    assert ledger.finish([record(cat, "new", revision=newer)], 102.0) == [True]
    assert inbox.length() == 0


def test_an_order_that_a_version_has_met_outlives_that_version(ledger: Ledger, client: Client, keys: Keys) -> None:
    """It was overwritten, and then restored: the record of the version in the bucket is from before the order."""
    inbox = inbox_of(client, keys, ref("a"))
    enter(ledger, Arrival(ref("a")))
    ledger.finish([record(ref("a"), "old")], 101.0)
    inbox.append([ORDER])
    assert enter(ledger, Arrival(ref("b"), verified=True)) == ["entered"]
    assert inbox.length() == 0
    assert enter(ledger, Arrival(ref("a"), verified=True)) == ["known"]
    assert ledger.finish([record(ref("a"), "new")], 103.0) == [True]
