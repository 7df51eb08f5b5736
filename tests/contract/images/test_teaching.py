"""What a person says of an image holds for it, reaches the images like it, and goes when it is taken back."""

from __future__ import annotations

import pytest

from tests.contract.images.images_world import OTHERS, REDS, ImagesWorld, picture
from vectordb.errors import Transient
from vectordb.images import image_id
from workers.images.label_check import BadLabel
from workers.images.teacher import NotTaggable
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.statements import Statement
from workers.stores.store import ObjectForbidden, StoreAway


@pytest.fixture
def reds(world: ImagesWorld) -> list[str]:
    """The keys of images that look alike; there are others, which look otherwise."""
    world.shown(OTHERS, "other")
    return world.shown(REDS, "red")


def test_one_named_image_names_those_like_it_and_no_others(world: ImagesWorld, reds: list[str]) -> None:
    taught = world.teacher.say("inbox", reds[0], "Chelsea", True)
    assert taught.problem is None
    assert {key for _, key, _ in taught.near} == set(reds[1:])
    assert [similarity for *_, similarity in taught.near] == sorted((s for *_, s in taught.near), reverse=True)
    assert world.labels(reds[0])[0] == "Chelsea"  # before anything is tagged again
    world.all_settled()
    assert world.record(reds[0]).tags[0].source == "person"
    for key in reds[1:]:
        (tag,) = [tag for tag in world.record(key).tags if tag.label == "Chelsea"]
        assert tag.source == "example"
        assert tag.example.object_id == f"inbox/{reds[0]}"  # type: ignore[union-attr]  # it is set
    assert all("Chelsea" not in world.labels(f"other{number}.png") for number in range(len(OTHERS)))
    new = world.shown([(218, 32, 32)], "new")  # a later image as well
    assert "Chelsea" in world.labels(new[0])

    world.teacher.say("inbox", reds[0], "chelsea", None)
    world.all_settled()
    assert all("Chelsea" not in world.labels(key) for key in (*reds, *new))


def test_what_is_said_survives_every_retag_and_an_overwritten_image_is_another_one(
    world: ImagesWorld, reds: list[str]
) -> None:
    world.teacher.say("inbox", reds[0], "Chelsea", True)
    world.again(reds[0])
    world.all_settled()
    assert world.labels(reds[0])[0] == "Chelsea"
    world.put(reds[0], picture((40, 40, 220), seed=9))
    world.all_settled()
    assert "Chelsea" not in world.labels(reds[0])
    world.put(reds[0], picture(REDS[0]))  # and back again
    world.all_settled()
    assert world.labels(reds[0])[0] == "Chelsea"


def test_a_rejected_label_goes_and_is_withheld_from_what_looks_like_it(world: ImagesWorld, reds: list[str]) -> None:
    assert "cat" in world.labels(reds[0])
    taught = world.teacher.say("inbox", reds[0], "Cats", False)
    assert "cat" not in world.labels(reds[0])
    assert taught.record.rejected == ("Cats",)
    index = world.wiring.records.tag_index
    assert index.read("cat", index.best("cat", 0.0, 10))[0] is not None  # the others have it still
    world.all_settled()
    assert all("cat" not in world.labels(key) for key in reds)
    world.teacher.say("inbox", reds[0], "cat", None)
    world.all_settled()
    assert all("cat" in world.labels(key) for key in reds)


def test_without_an_owner_of_the_index_a_statement_is_kept_and_the_problem_is_named(
    world: ImagesWorld, reds: list[str]
) -> None:
    world.owner.away = True
    taught = world.teacher.say("inbox", reds[0], "Chelsea", True)
    assert "not known: no response" in str(taught.problem)
    assert taught.near == ()
    assert world.labels(reds[0])[0] == "Chelsea"
    assert [oid for oid, _ in world.wiring.statements.all()] == [f"inbox/{reds[0]}"]


@pytest.mark.parametrize("fault", [StoreAway("the bucket is away"), ObjectForbidden("it is read-only")])
def test_without_a_journal_a_statement_is_kept_and_the_problem_is_named(
    world: ImagesWorld, reds: list[str], fault: Exception
) -> None:
    def refuse(*_: object) -> None:
        raise fault

    world.wiring.store.put = refuse
    taught = world.teacher.say("inbox", reds[0], "Chelsea", True)
    assert "not in the journal" in str(taught.problem)
    assert str(fault) in str(taught.problem)
    world.all_settled()
    assert all("Chelsea" in world.labels(key) for key in reds)


def test_an_image_that_is_not_in_the_index_is_named_but_is_no_example(world: ImagesWorld, reds: list[str]) -> None:
    world.wiring.images.index().remove([image_id("inbox", reds[0])])
    taught = world.teacher.say("inbox", reds[0], "Chelsea", True)
    assert "not in the index of images yet" in str(taught.problem)
    assert world.labels(reds[0])[0] == "Chelsea"


def test_only_a_tagged_image_is_taught_and_only_by_a_label(world: ImagesWorld, reds: list[str]) -> None:
    with pytest.raises(NotTaggable, match="has no record"):
        world.teacher.say("inbox", "nothing.png", "Chelsea", True)
    world.put("broken.png", b"\x89PNG\r\n\x1a\nbroken")
    world.now += 60
    world.all_settled()
    with pytest.raises(NotTaggable, match="broken"):
        world.teacher.say("inbox", "broken.png", "Chelsea", True)
    with pytest.raises(BadLabel):
        world.teacher.say("inbox", reds[0], " - ", True)
    assert list(world.wiring.statements.all()) == []


def test_after_a_loss_of_redis_what_people_said_is_there_before_images_are_tagged(
    world: ImagesWorld, reds: list[str]
) -> None:
    world.restoration.step()
    world.teacher.say("inbox", reds[0], "Chelsea", True)
    world.teacher.say("inbox", reds[1], "sofa", False)
    world.teacher.say("inbox", reds[2], "a mistake", True)
    world.now += 1
    world.teacher.say("inbox", reds[2], "A  Mistake", None)
    before = dict(world.wiring.statements.all())
    revision = world.wiring.statements.revision()
    world.wiring.redis.flushall()
    for inbox in (world.wiring.inbox, world.wiring.low_priority_inbox):
        inbox.prepare()
    world.restoration.step()
    assert dict(world.wiring.statements.all()) == before
    assert world.wiring.statements.revision() > revision  # exemplars are read anew
    for number, key in enumerate(reds):
        world.put(key, picture(REDS[number]))
    world.all_settled()
    assert world.labels(reds[0])[0] == "Chelsea"
    assert world.record(reds[1]).rejected == ("sofa",)
    assert "Chelsea" in world.labels(reds[3])
    world.restoration.step()
    assert dict(world.wiring.statements.all()) == before


def test_what_is_said_before_the_journal_was_replayed_is_neither_lost_nor_overruled(
    world: ImagesWorld, reds: list[str]
) -> None:
    world.restoration.step()
    world.teacher.say("inbox", reds[0], "Chelsea", True)
    world.teacher.say("inbox", reds[1], "Moka pot", True)
    ref = world.record(reds[0])
    world.wiring.redis.flushall()
    world.now += 1
    newer = world.wiring.statements.change(ref.id, "chelsea", Statement("chelsea", False, ref.etag, world.now))
    world.restoration.step()
    stored = dict(world.wiring.statements.all())
    assert stored[ref.id] == newer
    assert [one.label for one in stored[f"inbox/{reds[1]}"]] == ["Moka pot"]


def test_a_journal_that_is_away_is_replayed_when_it_is_back(world: ImagesWorld, reds: list[str]) -> None:
    world.teacher.say("inbox", reds[0], "Chelsea", True)
    world.wiring.redis.flushall()
    folder = world.settings.inbox_folder
    folder.rename(folder.with_name("away"))
    with pytest.raises(Transient):
        world.restoration.step()
    assert not world.wiring.statements.restored()
    folder.with_name("away").rename(folder)
    world.restoration.step()
    assert world.wiring.statements.restored()
    assert world.wiring.backlog.waiting() == 1  # its record may be without what was said


def test_what_was_said_of_a_removed_image_is_kept_and_can_be_taken_back(world: ImagesWorld, reds: list[str]) -> None:
    world.teacher.say("inbox", reds[0], "Chelsea", True)
    world.remove(reds[0])
    world.all_settled()
    assert [oid for oid, _ in world.wiring.statements.all()] == [f"inbox/{reds[0]}"]
    world.now += 1
    assert world.teacher.forget("inbox", reds[0], "chelsea") is None
    assert list(world.wiring.statements.all()) == []
    world.restoration.step()
    assert list(world.wiring.statements.all()) == []


def followed(world: ImagesWorld) -> None:
    """As the dispatcher does: the index follows the feed, and what is queued then is done."""
    world.all_settled()
    world.follower.step()
    world.all_settled()


def test_images_lose_what_they_had_from_an_image_that_was_removed(world: ImagesWorld, reds: list[str]) -> None:
    world.teacher.say("inbox", reds[0], "Chelsea", True)
    world.teacher.say("inbox", reds[0], "cat", False)
    followed(world)
    assert all("Chelsea" in world.labels(key) and "cat" not in world.labels(key) for key in reds[1:])
    world.remove(reds[0])
    followed(world)
    assert all("Chelsea" not in world.labels(key) and "cat" in world.labels(key) for key in reds[1:])
    world.put(reds[0], picture(REDS[0]))  # it comes back, and what was said of it holds again
    followed(world)
    assert world.labels(reds[0])[0] == "Chelsea"
    assert all("Chelsea" in world.labels(key) and "cat" not in world.labels(key) for key in reds[1:])


def test_images_lose_what_they_had_from_an_image_that_was_overwritten(world: ImagesWorld, reds: list[str]) -> None:
    world.teacher.say("inbox", reds[0], "Chelsea", True)
    followed(world)
    world.put(reds[0], picture((40, 40, 220), seed=9))
    followed(world)
    assert all("Chelsea" not in world.labels(key) for key in reds)
    assert [oid for oid, _ in world.wiring.statements.all()] == [f"inbox/{reds[0]}"]  # it stays with its key


@pytest.mark.parametrize("removed_first", [False, True])
def test_what_was_said_moves_with_its_object(world: ImagesWorld, reds: list[str], *, removed_first: bool) -> None:
    world.restoration.step()
    world.teacher.say("inbox", reds[0], "Chelsea", True)
    world.teacher.say("inbox", reds[0], "sofa", False)
    followed(world)
    folder = world.settings.inbox_folder
    (folder / "2024").mkdir()
    (folder / reds[0]).rename(folder / "2024" / "cat.png")
    events = [ObjectEvent("removed", "inbox", reds[0]), ObjectEvent("created", "inbox", "2024/cat.png")]
    for event in events if removed_first else reversed(events):
        world.wiring.inbox.append([event])
        followed(world)
    assert world.labels("2024/cat.png")[0] == "Chelsea"
    assert world.record("2024/cat.png").rejected == ("sofa",)
    assert [oid for oid, _ in world.wiring.statements.all()] == ["inbox/2024/cat.png"]
    for key in reds[1:]:
        (tag,) = [tag for tag in world.record(key).tags if tag.label == "Chelsea"]
        assert tag.example.object_id == "inbox/2024/cat.png"  # type: ignore[union-attr]  # it is set

    def stored() -> dict[str, list[Statement]]:
        return {oid: sorted(said, key=lambda one: one.label) for oid, said in world.wiring.statements.all()}

    before = stored()
    world.wiring.redis.flushall()
    world.restoration.step()
    assert stored() == before, "the journal has followed"


def test_a_copy_inherits_nothing_while_the_object_is_there(world: ImagesWorld, reds: list[str]) -> None:
    world.teacher.say("inbox", reds[0], "sofa", False)
    followed(world)
    world.put("copy.png", (world.settings.inbox_folder / reds[0]).read_bytes())
    followed(world)
    assert [oid for oid, _ in world.wiring.statements.all()] == [f"inbox/{reds[0]}"]
    world.remove(reds[0])  # and now it is a move
    followed(world)
    assert [oid for oid, _ in world.wiring.statements.all()] == ["inbox/copy.png"]


def test_another_picture_inherits_nothing(world: ImagesWorld, reds: list[str]) -> None:
    world.teacher.say("inbox", reds[0], "Chelsea", True)
    followed(world)
    world.remove(reds[0])
    followed(world)
    world.put("new.png", picture((218, 32, 32), seed=5))
    followed(world)
    assert "Chelsea" not in world.labels("new.png")
    assert [oid for oid, _ in world.wiring.statements.all()] == [f"inbox/{reds[0]}"]
