"""A version of a caption database is whole or not there, in every home, whoever is killed or builds at once."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from tests.contract.homes import DIMENSION, vectors
from tests.contract.vectordb.library_samples import CAPTIONS, At, build, everything, interrupted, manifest
from tests.contract.vectordb.library_samples import at as at  # noqa: PLC0414 -- a fixture
from tests.contract.vectordb.library_samples import library as library  # noqa: PLC0414 -- a fixture
from vectordb.captions import Caption
from vectordb.index import IndexMissing, UnusableVectors, WrongDimension
from vectordb.library import (
    BuildRunning,
    ChangeableLibrary,
    VersionActive,
    VersionExists,
)


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


def test_a_space_is_dropped_as_a_whole_and_others_stay(library: ChangeableLibrary) -> None:
    for version in ("v1", "v2"):
        build(library, manifest(version), CAPTIONS[:1])
    build(library, manifest("v1", "maxi"), CAPTIONS[:1])
    with library.building("mini", "cut@off", DIMENSION):
        pass
    for space in ("mini", "maxi"):
        library.use(space, "starter@v1")
    for _ in range(2):  # it may be repeated
        library.drop_space("mini")
        assert library.manifests() == [manifest("v1", "maxi")]
        assert (library.active("mini"), library.active("maxi"), library.unfinished()) == (None, "starter@v1", [])
    build(library, manifest("v1"), CAPTIONS[:1])  # it may be built again


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
