"""The index of images is compared with the records, and repaired from the store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.contract.images.verification_world import World, id_of
from tests.unit.segmentation.world import BLUE, GREEN, RED
from vectordb.images import ImageEntry, ImageLabels
from workers.images import index_task
from workers.images.comparison import KINDS
from workers.images.findings import Findings
from workers.images.passes import BUSY_PAUSE_S
from workers.redis.connection import Client
from workers.redis.keys import Keys

NONE = dict.fromkeys(KINDS, 0)


@pytest.fixture
def world(client: Client, keys: Keys, tmp_path: Path) -> Iterator[World]:
    made = World(client, keys, tmp_path)
    yield made
    made.open_images.close()


def test_an_index_that_fits_the_records_has_no_faults(world: World) -> None:
    for n in range(5):
        world.tagged(f"{n}.jpg", "cat")
    world.tagged("a photo without tags.jpg")
    world.tag(world.image("broken.jpg"), state="failed")
    found = world.verify(repair=False)
    assert (found.faults, found.records, found.indexed, found.finished) == (NONE, 6, 6, True)


def test_each_kind_of_fault_is_found_and_nothing_changes_without_repair(world: World) -> None:
    world.tagged("fine.jpg", "cat")
    world.tag(world.image("missing.jpg"), "cat")
    outdated = world.image("outdated.jpg")
    world.tag(outdated, "cat")
    world.put(outdated, "an old version")
    mislabelled = world.tagged("mislabelled.jpg", "cat")
    world.index.label([ImageLabels("inbox", mislabelled.key, mislabelled.etag, ("dog",), {"dog": 1.0})])
    world.put(world.image("orphaned.jpg"))
    failed = world.image("failed.jpg")
    world.tag(failed, state="failed")
    world.index.put([ImageEntry("inbox", failed.key, failed.etag)], np.ones((1, 6), np.float32))
    before = world.held()
    found = world.verify(repair=False)
    assert found.faults == {"missing": 1, "outdated": 1, "mislabelled": 1, "orphaned": 2}
    assert found.examples == {
        "missing": ["inbox/missing.jpg"], "outdated": ["inbox/outdated.jpg"],
        "mislabelled": ["inbox/mislabelled.jpg"], "orphaned": found.examples["orphaned"],
    }  # fmt: skip
    assert sorted(found.examples["orphaned"]) == ["inbox/failed.jpg", "inbox/orphaned.jpg"]
    assert (found.records, found.indexed, found.left) == (4, 2, 5)
    assert world.held() == before


def test_a_repair_mends_every_fault_and_writes_nothing_else(world: World) -> None:
    for n in range(10):
        world.tag(world.image(f"missing {n}.png", BLUE if n % 2 else RED), "cat")
    outdated = world.image("outdated.jpg", GREEN)
    world.tag(outdated, "cat")
    world.put(outdated, "an old version")
    mislabelled = world.tagged("mislabelled.jpg", "cat")
    world.index.label([ImageLabels("inbox", mislabelled.key, mislabelled.etag, (), {})])
    world.put(world.image("orphaned.jpg"))
    before = world.told()
    found = world.verify(repair=True)
    assert found.repaired == found.faults == {"missing": 10, "outdated": 1, "mislabelled": 1, "orphaned": 1}
    assert (found.left, found.indexed, found.records) == (0, 12, 12)
    assert world.held() == world.wanted()
    assert world.told() == before
    assert world.verify(repair=False).faults == NONE
    red, blue = ({f"missing {n}.png" for n in range(start, 10, 2)} for start in (0, 1))
    (one,) = world.index.search(world.index.get([id_of(world.image("missing 0.png"))])[1], 5)
    assert {entry.key for entry in one.entries} == red
    (other,) = world.index.search(world.index.get([id_of(world.image("missing 1.png", BLUE))])[1], 5)
    assert {entry.key for entry in other.entries} == blue


def test_words_that_were_lost_with_a_process_are_set_again(world: World) -> None:
    ref = world.image("a cat in the grass.jpg")
    world.tag(ref)  # no tags, but words of its name
    world.index.put([ImageEntry("inbox", ref.key, ref.etag)], np.ones((1, 6), np.float32))
    assert world.verify(repair=True).repaired["mislabelled"] == 1
    assert [entry.key for entry in world.index.search_words({"grass": 1.0}, 5).entries] == [ref.key]


def test_what_is_on_its_way_is_no_fault(world: World) -> None:
    new, again = world.image("new.jpg"), world.tagged("again.jpg", "cat")
    world.enter(new)
    world.put(new)  # embedded, but not tagged yet
    world.put(again, "the next version")
    world.enter(world.image("again.jpg", BLUE))
    just = world.image("just.jpg")
    world.now += 95
    world.tag(just, "cat")  # its labels are on their way
    world.now -= 95
    found = world.verify(repair=True)
    assert (found.faults, found.records) == (NONE, 0)
    assert set(world.held()) == {"new.jpg", "again.jpg"}


def test_an_index_that_was_deleted_while_it_was_open_is_filled_again(world: World) -> None:
    for n in range(9):
        world.tagged(f"{n}.jpg", "cat")
    shutil.rmtree(world.home / "images")
    found = world.verify(repair=True)
    assert found.repaired["missing"] == 9
    assert world.held() == world.wanted()
    assert (world.home / "images").exists()


def test_an_image_that_cannot_be_read_is_counted_and_not_tried_again_for_a_day(world: World) -> None:
    good, gone, damaged, changed = (world.image(f"{n}.png") for n in ("good", "gone", "damaged", "changed"))
    (world.home / "inbox" / "damaged.png").write_bytes(b"not an image")
    damaged = world.store.stat("inbox", "damaged.png").ref  # type: ignore[union-attr] # it is there
    for ref in (good, gone, damaged, changed):
        world.tag(ref, "cat")
    (world.home / "inbox" / "gone.png").unlink()
    world.image("changed.png", BLUE)
    before, verifier = world.told(), world.verifier()
    found = world.verify(repair=True, verifier=verifier)
    assert (found.faults["missing"], found.repaired["missing"], found.left, found.unreadable_count) == (4, 1, 3, 3)
    assert {oid: reason.partition(":")[0] for oid, reason in found.unreadable.items()} == {
        "inbox/damaged.png": "not-an-image", "inbox/gone.png": "changed", "inbox/changed.png": "changed",
    }  # fmt: skip
    assert world.told() == before
    world.workers.sent.clear()
    again = world.verify(repair=True, verifier=verifier)
    assert (again.faults["missing"], again.unreadable_count) == (3, 3)
    assert ("embedding", index_task.TASK) not in world.workers.sent
    world.now += 86_401
    world.verify(repair=True, verifier=verifier)
    assert ("embedding", index_task.TASK) in world.workers.sent


def test_one_image_that_fails_its_batch_does_not_keep_the_others_out(world: World) -> None:
    for n in range(4):
        world.tag(world.image(f"{n}.png"), "cat")
    encode = world.encoder.encode

    def fails(images: list[object]) -> object:
        if len(images) > 1 or world.encoder.calls == 2:
            world.encoder.calls += 1
            raise RuntimeError("out of memory")
        return encode(images)  # type: ignore[arg-type] # images

    world.encoder.encode = fails  # type: ignore[assignment,method-assign] # as above
    found = world.verify(repair=True)
    assert (found.repaired["missing"], found.unreadable_count) == (3, 1)
    assert "out of memory" in "".join(found.unreadable.values())


def test_a_repair_waits_until_no_other_work_does(world: World) -> None:
    world.tag(world.image("missing.png"), "cat")
    new = world.image("new.png")
    world.enter(new)
    found = Findings()
    running = world.begin(world.verifier(), found)
    for _ in range(20):
        running.advance(0.1)
    assert running.waits
    assert found.repaired == NONE
    world.tag(new, "cat")
    while not running.finished:
        running.advance(1.0)
    assert found.repaired["missing"] == 1


def test_a_repair_ends_though_other_work_never_does(world: World) -> None:
    now = 0.0
    world.monotonic = lambda: now
    for n in range(6):
        world.tag(world.image(f"{n}.png"), "cat")
    world.enter(world.image("new.png"))  # and is never done
    found = Findings()
    running = world.begin(world.verifier(batch_max=2), found)
    while not running.finished:
        if not running.advance(0.01) and running.waits:
            before, now = found.repaired["missing"], now + BUSY_PAUSE_S / 2
            running.advance(0.01)
            assert found.repaired["missing"] == before, "images that were added come first"
            now += BUSY_PAUSE_S
    assert found.repaired["missing"] == 6
    assert now == pytest.approx(3 * 1.5 * BUSY_PAUSE_S)


def test_what_was_removed_or_indexed_meanwhile_is_not_left(world: World) -> None:
    _, goes, comes = refs = [world.image(key) for key in ("stays.png", "goes.png", "comes.png")]
    for ref in refs:
        world.tag(ref, "cat")
    found = Findings()
    running = world.begin(world.verifier(), found)
    while not found.compared:
        running.advance(1.0)
    world.ledger.remove([goes.id])
    world.put(comes)
    while not running.finished:
        running.advance(1.0)
    assert (found.faults["missing"], found.repaired["missing"], found.left) == (3, 1, 0)


def test_a_version_that_came_meanwhile_is_not_replaced_by_an_older_one(world: World) -> None:
    old = world.image("photo.png")
    world.tag(old, "cat")
    found = Findings()
    running = world.begin(world.verifier(), found)
    while not running.waits:
        running.advance(1.0)
    new = world.image("photo.png", BLUE)
    world.tag(new, "bridge")
    world.put(new)
    while not running.finished:
        running.advance(1.0)
    assert world.held() == world.wanted()
    assert found.repaired["missing"] == 0


def test_vectors_stay_while_records_are_made_again_after_a_loss_of_redis(world: World) -> None:
    world.tagged("a.jpg", "cat")
    world.client.flushall()
    world.refilling = True
    found = world.verify(repair=True)
    assert (found.faults["orphaned"], found.repaired["orphaned"]) == (1, 0)
    assert list(world.held()) == ["a.jpg"]
    world.refilling = False
    assert world.verify(repair=True).repaired["orphaned"] == 1
    assert world.held() == {}
