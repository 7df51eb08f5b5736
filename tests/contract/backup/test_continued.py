"""A backup that was killed is continued: what is unchanged is kept, and all else is of the run that finished it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.backup.continuing import TEXTS, finished, images_of, killed, require_whole
from tests.contract.backup.continuing import several_files as several_files  # noqa: PLC0414 -- a fixture
from tests.contract.backup.continuing import world as world  # noqa: PLC0414 -- a fixture
from tests.contract.backup.test_s3_and_libraries import contents
from tests.contract.backup.world import captioned, filled, put_back, unit, wiring
from tests.contract.redis.cluster_objects import REVISION, record, ref
from vectordb.captions import SOURCE, Caption, caption_id
from vectordb.image_folder import FolderImages
from vectordb.images import ImageEntry, image_id
from workers.backup.form import MANIFEST
from workers.backup.places import FolderPlace
from workers.backup.stored_backups import Catalogue
from workers.lifecycle.ledger import Arrival
from workers.wiring.wiring import Wiring

pytestmark = pytest.mark.usefixtures("client")  # each test has an empty Redis


@pytest.mark.parametrize(("text", "nth", "after", "kept"), [
    pytest.param("redis-00003", 1, False, 0, marks=pytest.mark.long),
    pytest.param("captions-0-00003", 1, True, 2, marks=pytest.mark.long),
    pytest.param("unfinished", 5, False, 3, marks=pytest.mark.long),
    pytest.param("taught", 1, True, 4, marks=pytest.mark.long), ("images-00002", 1, False, 5),
    pytest.param("manifest", 1, False, 7, marks=pytest.mark.long),
])  # fmt: skip
def test_a_backup_goes_on_wherever_it_was_killed(
    world: Wiring, redis_url: str, tmp_path: Path, text: str, nth: int, after: bool, kept: int
) -> None:
    place = FolderPlace(tmp_path / "to")
    killed(world, place, text, nth, after=after)
    world.ledger.enter([Arrival(ref(900))], REVISION, 100.0, 160.0)
    world.ledger.finish([record(ref(900), "cat")], 101.0)  # what came since is in it
    (name,) = Catalogue(place).ids()
    made, files, said = finished(world, place)
    assert (made.kept, made.manifest.id, made.torn) == (kept, name, [])
    assert len([one for one in files if one.startswith(("captions-0-00", "images"))]) == 7 - kept
    assert f"continuing the backup {name}" in said[0] or not kept
    assert made.manifest.counts["records"] == 8
    require_whole(world, made, place, redis_url, tmp_path / "b")


@pytest.mark.long
def test_one_that_is_killed_again_and_again(world: Wiring, redis_url: str, tmp_path: Path) -> None:
    place = FolderPlace(tmp_path / "to")
    for text in ("captions-0-00002", "captions-0-00002", "captions-0-00001", "images-00002", "images-00001"):
        killed(world, place, text)
    made, files, _ = finished(world, place)
    assert (made.kept, len([one for one in files if one.startswith("images")])) == (5, 2)
    require_whole(world, made, place, redis_url, tmp_path / "b")


def taught_meanwhile(world: Wiring) -> int:
    index = world.library.open("space", "mine@1")
    index.remove([caption_id("a moka pot")])
    index.add([Caption(caption_id("new"), "new", {SOURCE: "me"})], unit(1, index.dimension, 3))
    index.close()
    return 7


def another_version(world: Wiring) -> int:
    captioned(world, ["another one"], [], "yours")
    return 7


def made_anew(world: Wiring) -> int:
    captioned(world, ["another one"], [], "yours")
    world.library.drop("space", "mine@1")
    captioned(world, TEXTS[:30], [])
    return 3  # the images


def images_changed(world: Wiring) -> int:
    """One is new and one is another version, in different pages; one is removed in the first of them."""
    index = FolderImages(world.settings.images_folder).open(world.space.id, world.space.dimension)
    ids = sorted(image_id("inbox", f"{n}.jpg") for n in range(30))
    by_id = {image_id("inbox", f"{n}.jpg"): f"{n}.jpg" for n in range(30)}
    index.put([ImageEntry("inbox", by_id[ids[5]], "another etag")], unit(1, world.space.dimension, 9))
    index.remove([ids[22]])
    index.close()
    return 5


@pytest.mark.parametrize("change", [
    images_changed, pytest.param(taught_meanwhile, marks=pytest.mark.long),
    pytest.param(another_version, marks=pytest.mark.long), pytest.param(made_anew, marks=pytest.mark.long),
])  # fmt: skip
def test_what_changes_between_two_runs_is_made_anew(
    world: Wiring, redis_url: str, tmp_path: Path, change: Callable[[Wiring], int]
) -> None:
    place = FolderPlace(tmp_path / "to")
    killed(world, place, "manifest")
    kept = change(world)
    made, files, _ = finished(world, place)
    again = [one for one in files if one.startswith(("captions-0-00", "images"))]
    if change is not made_anew and change is not another_version:
        assert len(again) == 7 - kept
    other = wiring(redis_url, tmp_path / "b", "{other}:")
    assert put_back(other, made, place).differences == []
    assert images_of(other) == images_of(world)
    for version in {one.captions_version for one in world.library.manifests()}:
        assert contents(other, version) == contents(world, version)
    assert other.library.active("space") == world.library.active("space")
    assert {one.name for one in made.manifest.files} == {
        name.partition("/")[2] for name in place.names(f"{made.manifest.id}/")
    } - {MANIFEST}


def test_a_loss_of_redis_between_two_runs_begins_anew(world: Wiring, redis_url: str, tmp_path: Path) -> None:
    place = FolderPlace(tmp_path / "to")
    killed(world, place, "images-00002")
    (name,) = Catalogue(place).ids()
    world.redis.flushdb()
    filled(world, 12)
    world.data_loss.step()
    made, _, said = finished(world, place)
    assert any("is not continued" in one and "Redis lost its keys" in one for one in said)
    assert (made.kept, made.torn) == (0, [name])
    assert made.manifest.first_began is None
    require_whole(world, made, place, redis_url, tmp_path / "b")
