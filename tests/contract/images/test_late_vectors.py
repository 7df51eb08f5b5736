"""What is taught reaches images whose vectors were not in the index at that moment, and those in progress."""

from __future__ import annotations

import msgspec
import pytest

from tasks.message_parts import ObjectRef, Revision
from tasks.messages import Submitted
from tests.contract.images.images_world import OTHERS, REDS, ImagesWorld, picture
from vectordb.errors import Transient
from vectordb.images import image_id
from workers.images import index_task
from workers.images.index_task import Embed
from workers.images.teacher import FOLLOW_S
from workers.lifecycle.record import Evidence, Record
from workers.wiring.operations import unfollowed


@pytest.fixture
def reds(world: ImagesWorld) -> list[str]:
    """The keys of images that look alike; there are others, which look otherwise."""
    world.shown(OTHERS, "other")
    return world.shown(REDS, "red")


def left_out(world: ImagesWorld, keys: list[str]) -> None:
    world.wiring.images.index().remove([image_id("inbox", key) for key in keys])


def indexed(world: ImagesWorld, keys: list[str]) -> None:
    """As the verification does it."""
    records: list[Record] = list(map(world.record, keys))
    revision = Revision(records[0].space_id, records[0].captions_version)
    refs = tuple(ObjectRef("inbox", record.key, record.etag) for record in records)
    data = msgspec.msgpack.encode(Embed(Submitted(objects=refs, revision=revision)))
    world.owner.ask("embedding", index_task.TASK, "one", data, "", 1.0)
    assert len(world.wiring.images.index().get([image_id("inbox", key) for key in keys])[0]) == len(keys)


def test_images_without_a_vector_get_what_is_taught_when_it_comes(world: ImagesWorld, reds: list[str]) -> None:
    left_out(world, [*reds[1:], "other0.png"])
    world.teacher.say("inbox", reds[0], "Chelsea", True)
    world.all_settled()
    assert all("Chelsea" not in world.labels(key) for key in reds[1:])
    indexed(world, [*reds[1:], "other0.png"])
    assert world.wiring.backlog.waiting() == 3
    world.all_settled()
    assert all("Chelsea" in world.labels(key) for key in reds)
    indexed(world, reds)
    assert world.wiring.backlog.waiting() == 0  # nothing was taught since

    left_out(world, reds[1:])
    world.teacher.say("inbox", reds[0], "chelsea", None)
    world.teacher.say("inbox", reds[0], "cat", False)
    world.all_settled()
    assert all("Chelsea" in world.labels(key) for key in reds[1:])
    indexed(world, reds[1:])
    world.all_settled()
    assert all("Chelsea" not in world.labels(key) and "cat" not in world.labels(key) for key in reds)


def test_images_get_captions_that_were_added_while_they_had_no_vector(world: ImagesWorld, reds: list[str]) -> None:
    left_out(world, reds[:2])
    oid, stored = f"inbox/{reds[0]}", world.record(reds[0])
    (body,) = world.wiring.records.stored([oid])
    before = msgspec.structs.replace(stored, evidence=(Evidence("a caption that is not the nearest any more", 0.5),))
    assert world.wiring.ledger.revise(oid, body, before)
    indexed(world, reds[:2])
    assert world.wiring.backlog.waiting() == 1
    world.all_settled()
    assert world.record(reds[0]).evidence == stored.evidence


def test_an_image_that_finishes_while_something_is_taught_is_tagged_again(
    world: ImagesWorld, reds: list[str]
) -> None:
    """It was judged before, and its vector was not there yet when its neighbours were asked for."""
    similar, near = reds[3], world.teacher._near
    world.put(similar, picture((211, 36, 32), seed=1))
    left_out(world, [similar])

    def meanwhile(record: Record) -> object:
        found = near(record)
        world.settle()  # it is judged, and finished, before what is said is stored
        return found

    world.teacher._near = meanwhile  # type: ignore[method-assign,assignment]  # something happens after it
    world.teacher.say("inbox", reds[0], "Chelsea", True)
    world.all_settled()
    assert "Chelsea" in world.labels(similar)


def test_an_image_that_is_judged_before_and_finished_after_something_is_taught_is_tagged_once_more(
    world: ImagesWorld, reds: list[str]
) -> None:
    similar, near = reds[3], world.teacher._near
    world.put(similar, picture((211, 36, 32), seed=1))
    left_out(world, [similar])

    def meanwhile(record: Record) -> object:
        found = near(record)
        world.settle(lambda: any(stage == "scoring" for stage, *_ in world.queues.sent))
        return found

    world.teacher._near = meanwhile  # type: ignore[method-assign,assignment]  # something happens after it
    world.teacher.say("inbox", reds[0], "Chelsea", True)
    world.all_settled()
    assert "Chelsea" in world.labels(similar)


def test_what_was_said_while_the_index_was_away_is_followed_later(world: ImagesWorld, reds: list[str]) -> None:
    step = unfollowed(world.wiring).step
    world.owner.away = True
    world.teacher.say("inbox", reds[0], "Chelsea", True)
    world.owner.away = False
    world.all_settled()
    assert all("Chelsea" not in world.labels(key) for key in reds[1:])
    step()
    assert world.wiring.backlog.waiting() == 0  # whoever said it may still be at work
    world.now += FOLLOW_S
    world.owner.away = True  # the message is lost
    step()
    world.owner.away = False
    world.now += FOLLOW_S
    step()
    assert world.wiring.statements.unfollowed() == []
    world.all_settled()
    assert all("Chelsea" in world.labels(key) for key in reds)


def test_an_example_whose_vector_comes_late_is_followed_then(world: ImagesWorld, reds: list[str]) -> None:
    step = unfollowed(world.wiring).step
    left_out(world, reds[:1])
    world.teacher.say("inbox", reds[0], "Chelsea", True)
    for _ in range(3):
        world.now += 100 * FOLLOW_S
        step()
    assert [oid for oid, _ in world.wiring.statements.unfollowed()] == [f"inbox/{reds[0]}"]
    world.all_settled()  # it is tagged again, and put into the index by that
    world.now += 100 * FOLLOW_S
    step()
    world.all_settled()
    assert world.wiring.statements.unfollowed() == []
    assert all("Chelsea" in world.labels(key) for key in reds)


def test_a_fault_after_a_statement_was_stored_loses_no_image(
    world: ImagesWorld, reds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise Transient("the process ended")

    with monkeypatch.context() as patched:
        patched.setattr(world.wiring.backlog, "add", fail)
        with pytest.raises(Transient):
            world.teacher.say("inbox", reds[0], "Chelsea", True)
    world.now += FOLLOW_S
    unfollowed(world.wiring).step()
    world.all_settled()
    assert all("Chelsea" in world.labels(key) for key in reds)
