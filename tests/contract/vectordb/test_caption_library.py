"""A version of a caption database is whole or not there, in every home, whoever is killed or builds at once."""

from __future__ import annotations

import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from tests.contract.homes import DIMENSION, HOMES, lent, vectors
from vectordb.captions import Caption
from vectordb.copying import copy
from vectordb.index import CaptionIndex, IndexMissing, UnusableVectors, WrongDimension
from vectordb.library import (
    BadSnapshot,
    BuildRunning,
    ChangeableLibrary,
    Manifest,
    UnsafeName,
    VersionActive,
    VersionExists,
)

NOON = "2025-06-01T12:00:00+00:00"
CAPTIONS = [Caption.of("word " * (1 + i % 7) + str(i), number=i) for i in range(50)]

# the library at a place, as another process sees it; what is opened with it must be closed
At = Callable[[str], ChangeableLibrary]


@pytest.fixture(params=[*HOMES, "cluster"])
def at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[At]:
    with lent(tmp_path) as homes:
        yield lambda place: homes(request.param, place)


@pytest.fixture
def library(at: At) -> ChangeableLibrary:
    return at("here")


def manifest(version: str = "v1", space: str = "mini", created: str = NOON, count: int = 50) -> Manifest:
    return Manifest(
        "starter", version, space, DIMENSION, count, None, created, origin="a test", read=60, duplicate=10
    )


def build(library: ChangeableLibrary, made: Manifest | None = None, captions: list[Caption] = CAPTIONS) -> Manifest:
    made = made or manifest()
    with library.building(made.space_id, made.captions_version, DIMENSION) as building:
        building.index.add(captions, vectors(captions))
        building.finish(made)
    return made


def interrupted(library: ChangeableLibrary, captions: list[Caption]) -> None:
    """A build that adds captions, notes that, and goes no further."""
    with library.building("mini", "starter@v1", DIMENSION) as building:
        building.index.add(captions, vectors(captions))
        (building.folder / "done").write_text(str(len(captions)))


def everything(index: CaptionIndex) -> list[Caption]:
    return [caption for page, _ in index.pages() for caption in page]


def test_what_was_built_is_found_opened_and_searched(at: At) -> None:
    made = build(at("here"))
    library = at("here")
    assert library.find("mini", "starter@v1") == made
    assert library.manifests("mini") == library.manifests() == [made]
    index = library.open("mini", "starter@v1")
    (found,) = index.search(vectors(CAPTIONS[7:8]), 1)
    assert found.captions == (CAPTIONS[7],)
    assert index.count() == 50
    index.close()


def test_what_was_not_built_is_not_found_and_looking_leaves_nothing(
    library: ChangeableLibrary, tmp_path: Path
) -> None:
    assert library.find("mini", "starter@v1") is None
    assert library.manifests() == library.manifests("mini") == []
    assert library.active("mini") is None
    for look in (library.open, library.use, library.drop, library.size):
        with pytest.raises(IndexMissing, match="starter@v1"):
            look("mini", "starter@v1")
    with pytest.raises(IndexMissing, match="starter@v1"):
        library.snapshot("mini", "starter@v1", tmp_path / "saved.tar")
    assert list(tmp_path.iterdir()) == []


def test_a_version_is_not_seen_before_it_is_finished(at: At) -> None:
    library, reader = at("here"), at("here")
    with library.building("mini", "starter@v1", DIMENSION) as building:
        building.index.add(CAPTIONS, vectors(CAPTIONS))
        assert reader.find("mini", "starter@v1") is None
        assert reader.manifests() == []
        with pytest.raises(IndexMissing):
            reader.open("mini", "starter@v1")
        with pytest.raises(IndexMissing):
            reader.use("mini", "starter@v1")
        building.finish(manifest())
        assert reader.find("mini", "starter@v1") == manifest()
        reader.open("mini", "starter@v1").close()  # the builder has let go, though its block goes on


def test_an_interrupted_build_goes_on_with_what_was_added_and_noted(at: At) -> None:
    interrupted(at("here"), CAPTIONS[:20])
    library = at("here")
    assert library.find("mini", "starter@v1") is None
    with library.building("mini", "starter@v1", DIMENSION) as building:
        assert everything(building.index) == sorted(CAPTIONS[:20], key=lambda c: c.id)
        assert (building.folder / "done").read_text() == "20"
        building.index.add(CAPTIONS[20:], vectors(CAPTIONS[20:]))
        notes = building.folder
        building.finish(manifest())
        assert not notes.exists()
    index = library.open("mini", "starter@v1")
    assert everything(index) == sorted(CAPTIONS, key=lambda c: c.id)
    index.close()


def test_a_build_without_resume_throws_away_what_was_added_and_noted(library: ChangeableLibrary) -> None:
    interrupted(library, CAPTIONS[:20])
    with library.building("mini", "starter@v1", DIMENSION, resume=False) as building:
        assert building.index.count() == 0
        assert list(building.folder.iterdir()) == []


def test_an_interrupted_build_of_another_dimension_is_refused_and_kept(library: ChangeableLibrary) -> None:
    interrupted(library, CAPTIONS[:20])
    with pytest.raises(WrongDimension, match="8 dimensions, not 9"), library.building("mini", "starter@v1", 9):
        pass
    with library.building("mini", "starter@v1", DIMENSION) as building:
        assert building.index.count() == 20
    with library.building("mini", "starter@v1", 9, resume=False) as building:
        assert building.index.dimension == 9


def test_vectors_that_cannot_be_stored_leave_nothing(library: ChangeableLibrary) -> None:
    with library.building("mini", "starter@v1", DIMENSION) as building:
        with pytest.raises(WrongDimension):
            building.index.add(CAPTIONS[:2], np.ones((2, 9), np.float32))
        with pytest.raises(UnusableVectors):
            building.index.add(CAPTIONS[:2], np.zeros((2, DIMENSION), np.float32))
        assert building.index.count() == 0


def test_a_second_build_at_once_is_refused(at: At) -> None:
    library, other = at("here"), at("here")
    with library.building("mini", "starter@v1", DIMENSION):
        for resume in (True, False):
            with (
                pytest.raises(BuildRunning, match="starter@v1 is being built"),
                other.building("mini", "starter@v1", DIMENSION, resume=resume),
            ):
                pass
        with other.building("mini", "starter@v2", DIMENSION), other.building("maxi", "starter@v1", DIMENSION):
            pass
    with other.building("mini", "starter@v1", DIMENSION):
        pass


def test_a_whole_version_is_not_built_again(library: ChangeableLibrary) -> None:
    build(library)
    for resume in (True, False):
        with (
            pytest.raises(VersionExists, match="starter@v1"),
            library.building("mini", "starter@v1", DIMENSION, resume=resume),
        ):
            pass
    index = library.open("mini", "starter@v1")
    assert index.count() == 50
    index.close()


def test_each_space_has_an_active_version(library: ChangeableLibrary) -> None:
    for made in (manifest("v1"), manifest("v2"), manifest("v1", "maxi")):
        build(library, made)
    assert library.active("mini") is None
    library.use("mini", "starter@v1")
    assert library.active("mini") == "starter@v1"
    assert library.active("maxi") is None
    library.use("mini", "starter@v2")
    library.use("mini", "starter@v2")
    assert library.active("mini") == "starter@v2"
    with pytest.raises(IndexMissing, match="starter@v3"):
        library.use("mini", "starter@v3")
    assert library.active("mini") == "starter@v2"


def test_whoever_looks_while_the_active_version_changes_sees_the_old_or_the_new(at: At) -> None:
    library, reader = at("here"), at("here")
    for version in ("v1", "v2"):
        build(library, manifest(version), CAPTIONS[:3])
    library.use("mini", "starter@v1")
    seen: list[str | None] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.append(reader.active("mini"))

    looking = threading.Thread(target=look)
    looking.start()
    deadline = time.monotonic() + 30
    turns = 0
    while (turns < 100 or len(set(seen)) < 2) and time.monotonic() < deadline:
        turns += 1
        library.use("mini", f"starter@v{1 + turns % 2}")
    done.set()
    looking.join()
    assert set(seen) == {"starter@v1", "starter@v2"}


def test_the_active_version_is_not_dropped_and_others_are(library: ChangeableLibrary) -> None:
    for version in ("v1", "v2"):
        build(library, manifest(version))
    library.use("mini", "starter@v2")
    with pytest.raises(VersionActive, match="starter@v2"):
        library.drop("mini", "starter@v2")
    library.drop("mini", "starter@v1")
    assert library.manifests() == [manifest("v2")]
    with pytest.raises(IndexMissing):
        library.open("mini", "starter@v1")
    with pytest.raises(IndexMissing):
        library.drop("mini", "starter@v1")
    with library.building("mini", "starter@v1", DIMENSION) as building:  # it may be built again, from nothing
        assert building.index.count() == 0
    library.open("mini", "starter@v2").close()


def test_what_an_interrupted_build_has_left_is_listed_and_dropped(at: At) -> None:
    library = at("here")
    build(library)
    with library.building("mini", "cut@off", 8) as building:
        building.index.add(CAPTIONS[:3], vectors(CAPTIONS[:3]))
        assert library.unfinished() == [("mini", "cut@off")]
        with pytest.raises(BuildRunning):
            at("here").drop("mini", "cut@off")
    library.drop("mini", "cut@off")
    assert library.unfinished() == []
    assert library.manifests() == [manifest()]
    with library.building("mini", "cut@off", 8) as building:
        assert building.index.count() == 0


def test_versions_come_oldest_first(library: ChangeableLibrary) -> None:
    late = manifest("a", created="2025-06-01T14:00:00+00:00")
    middle = manifest("b", "maxi", created="2025-06-01T15:30:00+02:00")
    early = manifest("c", created=datetime(2025, 6, 1, 12, tzinfo=UTC).isoformat())
    for made in (late, middle, early):
        build(library, made, CAPTIONS[:1])
    assert library.manifests() == [early, middle, late]
    assert library.manifests("mini") == [early, late]
    assert library.manifests("nobody") == []


def test_what_is_taught_to_a_whole_version_stays(at: At) -> None:
    build(at("here"))
    index = at("here").open("mini", "starter@v1")
    taught = Caption.of("a Moka pot", source="taught")
    index.add([taught], vectors([taught]))
    index.remove([CAPTIONS[0].id])
    index.close()
    index = at("here").open("mini", "starter@v1")
    assert index.search(vectors([taught]), 1)[0].captions == (taught,)
    assert index.count() == 50
    assert everything(index) == sorted([*CAPTIONS[1:], taught], key=lambda c: c.id)
    index.close()


def test_an_empty_database_is_a_database(library: ChangeableLibrary) -> None:
    build(library, manifest(count=0), [])
    index = library.open("mini", "starter@v1")
    assert index.count() == 0
    index.close()


def test_a_version_takes_room(library: ChangeableLibrary) -> None:
    build(library)
    assert library.size("mini", "starter@v1") >= 50 * DIMENSION * 4


def test_a_snapshot_brings_a_version_elsewhere(at: At, tmp_path: Path) -> None:
    library, elsewhere = at("here"), at("elsewhere")
    made = build(library)
    library.use("mini", "starter@v1")
    library.snapshot("mini", "starter@v1", tmp_path / "saved.tar")
    assert library.find("mini", "starter@v1") == made
    assert elsewhere.restore(tmp_path / "saved.tar") == made
    assert at("elsewhere").manifests() == [made]
    assert elsewhere.active("mini") is None
    before, after = library.open("mini", "starter@v1"), elsewhere.open("mini", "starter@v1")
    for (ours, our_vectors), (theirs, their_vectors) in zip(before.pages(), after.pages(), strict=True):
        assert ours == theirs
        np.testing.assert_array_equal(our_vectors, their_vectors)
    before.close()
    after.close()
    elsewhere.use("mini", "starter@v1")


def test_a_snapshot_of_an_empty_database_is_one(at: At, tmp_path: Path) -> None:
    made = build(at("here"), manifest(count=0), [])
    at("here").snapshot("mini", "starter@v1", tmp_path / "saved.tar")
    assert at("elsewhere").restore(tmp_path / "saved.tar") == made


def test_a_version_that_is_there_is_not_restored_over(at: At, tmp_path: Path) -> None:
    library = at("here")
    build(library, captions=CAPTIONS[:20])
    library.snapshot("mini", "starter@v1", tmp_path / "saved.tar")
    library.drop("mini", "starter@v1")
    build(library)
    with pytest.raises(VersionExists):
        library.restore(tmp_path / "saved.tar")
    index = library.open("mini", "starter@v1")
    assert index.count() == 50
    index.close()


def test_what_was_left_half_built_does_not_stand_in_the_way_of_a_restore(at: At, tmp_path: Path) -> None:
    build(at("elsewhere"))
    at("elsewhere").snapshot("mini", "starter@v1", tmp_path / "saved.tar")
    library = at("here")
    interrupted(library, [Caption.of("never finished")])
    library.restore(tmp_path / "saved.tar")
    index = library.open("mini", "starter@v1")
    assert everything(index) == sorted(CAPTIONS, key=lambda c: c.id)
    index.close()


def test_a_broken_snapshot_is_refused_and_nothing_of_it_is_seen(at: At, tmp_path: Path) -> None:
    build(at("here"))
    whole = tmp_path / "saved.tar"
    at("here").snapshot("mini", "starter@v1", whole)
    library, broken = at("elsewhere"), tmp_path / "broken.tar"
    content = whole.read_bytes()
    lengths = [len(content) - 1, len(content) // 2, 100]
    for cut in [*(content[:length] for length in lengths), b"", b"this is not a snapshot", bytes(20_000)]:
        broken.write_bytes(cut)
        with pytest.raises(BadSnapshot):
            library.restore(broken)
        assert library.manifests() == []
    with pytest.raises(BadSnapshot):
        library.restore(tmp_path / "nowhere.tar")
    with pytest.raises(BadSnapshot):
        library.restore(tmp_path)
    with tarfile.open(broken, "w") as archive:
        archive.add(__file__, "manifest.json")
    with pytest.raises(BadSnapshot):
        library.restore(broken)
    library.restore(whole)
    assert library.manifests() == [manifest()]


def test_a_snapshot_is_whole_or_not_written(library: ChangeableLibrary, tmp_path: Path) -> None:
    build(library)
    (tmp_path / "taken.tar").mkdir()
    with pytest.raises(OSError, match=r"taken\.tar"):
        library.snapshot("mini", "starter@v1", tmp_path / "taken.tar")
    assert [file.name for file in tmp_path.iterdir() if "taken" in file.name] == ["taken.tar"]


def test_thresholds_belong_to_a_version_and_go_where_it_goes(at: At, tmp_path: Path) -> None:
    derived = {"space_id": "mini", "unknown": {"value": 0.25, "reason": "", "numbers": {"captions": 50.0}}}
    here = at("here")
    build(here, replace(manifest(), thresholds={"old": None}))
    index = here.open("mini", "starter@v1")  # tagging goes on meanwhile
    made = here.set_thresholds("mini", "starter@v1", derived)
    assert made == at("here").find("mini", "starter@v1") == replace(manifest(), thresholds=derived)
    copy(index, made, at("copied"))
    index.close()
    here.snapshot("mini", "starter@v1", tmp_path / "saved.tar")
    at("restored").restore(tmp_path / "saved.tar")
    for place in ("here", "copied", "restored"):
        assert at(place).manifests() == [made]
    with pytest.raises(IndexMissing):
        here.set_thresholds("mini", "starter@v2", derived)


@pytest.mark.parametrize("name", ["", "..", "../up", "a/b", ".hidden", "a@b", "a b", "é", "-a"])
def test_names_cannot_lead_anywhere_else(library: ChangeableLibrary, tmp_path: Path, name: str) -> None:
    for space, version in ((name, "starter@v1"), ("mini", f"{name}@v1"), ("mini", f"starter@{name}")):
        for look in (library.find, library.open, library.use, library.drop, library.size):
            with pytest.raises(UnsafeName):
                look(space, version)
        with pytest.raises(UnsafeName):
            library.snapshot(space, version, tmp_path / "saved.tar")
        with pytest.raises(UnsafeName), library.building(space, version, DIMENSION):
            pass
    for look_at in (library.manifests, library.active):
        with pytest.raises(UnsafeName):
            look_at(name)
    assert list(tmp_path.iterdir()) == []
