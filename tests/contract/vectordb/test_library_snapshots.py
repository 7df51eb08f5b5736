"""Snapshots of every kind of caption library, and names that lead nowhere else."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.contract.homes import DIMENSION
from tests.contract.vectordb.library_samples import CAPTIONS, At, build, everything, interrupted, manifest
from tests.contract.vectordb.library_samples import at as at  # noqa: PLC0414 -- a fixture
from tests.contract.vectordb.library_samples import library as library  # noqa: PLC0414 -- a fixture
from vectordb.captions import Caption
from vectordb.copying import copy
from vectordb.index import IndexMissing
from vectordb.library import (
    BadSnapshot,
    ChangeableLibrary,
    UnsafeName,
    VersionExists,
)


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
