"""A captions database is whole or not there, whoever is killed and whoever builds at the same time."""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from vectordb.captions import Caption
from vectordb.index import Floats, IndexLocked, IndexMissing, WrongDimension
from vectordb.library import BuildRunning, Library, Manifest, UnsafeName

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
CAPTIONS = [Caption.of("word " * (1 + i % 7) + str(i), number=i) for i in range(50)]


class Encoder:
    """Vectors that follow from the text alone; counts what it was asked, and fails when told to."""

    def __init__(self, dimension: int = 8, fail_after: int | None = None) -> None:
        self.dimension = dimension
        self.calls: list[list[str]] = []
        self.fail_after = fail_after

    def __call__(self, texts: Sequence[str]) -> Floats:
        if len(self.calls) == self.fail_after:
            raise KeyboardInterrupt
        self.calls.append(list(texts))
        rows = [np.random.default_rng(list(text.encode())).normal(size=self.dimension) for text in texts]
        return np.array(rows, dtype=np.float32)


def build(library: Library, encode: Encoder, version: str = "v1", created: datetime = NOON) -> Manifest:
    return library.build(
        CAPTIONS, encode, name="starter", version=version, space_id="mini", dimension=8, created=created, chunk=20
    )


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "captions")


def test_what_was_built_is_found_opened_and_searched(library: Library) -> None:
    encode = Encoder()
    manifest = build(library, encode)
    assert manifest == Manifest("starter", "v1", "mini", 8, 50, None, manifest.created)
    assert datetime.fromisoformat(manifest.created) == NOON
    assert library.find("mini", "starter@v1") == manifest
    index = library.open("mini", manifest.captions_version)
    (found,) = index.search(encode([CAPTIONS[7].text]), 1)
    assert found.captions == (CAPTIONS[7],)
    assert index.indexed() == index.count() == 50
    with pytest.raises(IndexLocked):
        library.open("mini", "starter@v1")
    index.close()


def test_what_was_not_built_is_not_found(library: Library, tmp_path: Path) -> None:
    assert library.find("mini", "starter@v1") is None
    assert library.versions("mini") == []
    with pytest.raises(IndexMissing, match="starter@v1"):
        library.open("mini", "starter@v1")
    assert list(tmp_path.iterdir()) == []


def test_texts_come_to_the_encoder_in_chunks_short_ones_first(library: Library) -> None:
    encode, seen = Encoder(), []
    library.build(
        [*CAPTIONS, *CAPTIONS],
        encode,
        name="starter",
        version="v1",
        space_id="mini",
        dimension=8,
        created=NOON,
        progress=lambda done, total: seen.append((done, total)),
        chunk=20,
    )
    assert [len(call) for call in encode.calls] == [20, 20, 10]
    lengths = [len(text) for call in encode.calls for text in call]
    assert lengths == sorted(lengths)
    assert seen == [(20, 50), (40, 50), (50, 50)]


def test_a_whole_version_is_not_built_again(library: Library) -> None:
    first = build(library, Encoder())
    assert build(library, Encoder(fail_after=0), created=NOON.replace(year=2026)) == first


def test_a_killed_build_is_not_found_and_the_next_one_encodes_only_what_is_missing(
    library: Library, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        build(library, Encoder(fail_after=2))
    assert library.find("mini", "starter@v1") is None
    assert library.versions("mini") == []
    # and a half-made index that a kill during indexing leaves is thrown away
    leftover = tmp_path / "captions" / "mini" / ".starter@v1.building" / "index"
    leftover.mkdir()
    (leftover / "index.json").write_text('{"dimension": 3}')
    encode = Encoder()
    assert build(library, encode).count == 50
    assert [len(call) for call in encode.calls] == [10]
    index = library.open("mini", "starter@v1")
    assert {caption.id for page, _ in index.pages() for caption in page} == {caption.id for caption in CAPTIONS}
    index.close()
    hidden = {path.name for path in (tmp_path / "captions" / "mini").iterdir() if path.name.startswith(".")}
    assert hidden == {".starter@v1.lock"}


def test_versions_come_oldest_first(library: Library) -> None:
    build(library, Encoder(), "b", NOON.replace(hour=13))
    build(library, Encoder(), "c", NOON)
    build(library, Encoder(), "a", NOON.replace(hour=14))
    assert [manifest.version for manifest in library.versions("mini")] == ["c", "b", "a"]


def test_a_second_build_at_once_is_refused(library: Library, tmp_path: Path) -> None:
    lock = tmp_path / "captions" / "mini" / ".starter@v1.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(BuildRunning, match="starter@v1 is being built"):
            build(library, Encoder())
    assert build(library, Encoder()).count == 50


def test_vectors_of_another_dimension_are_refused_and_leave_nothing(library: Library) -> None:
    with pytest.raises(WrongDimension):
        build(library, Encoder(dimension=9))
    assert library.find("mini", "starter@v1") is None
    assert build(library, Encoder()).count == 50


def test_a_damaged_database_says_what_to_do(library: Library, tmp_path: Path) -> None:
    build(library, Encoder())
    manifest = tmp_path / "captions" / "mini" / "starter@v1" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"dimension": 8', '"dimension": 9'))
    with pytest.raises(IndexMissing, match="build them again"):
        library.open("mini", "starter@v1")


@pytest.mark.parametrize("name", ["", "..", "../up", "a/b", ".hidden", "a@b", "a b", "é"])
def test_names_cannot_leave_the_folder(library: Library, name: str) -> None:
    with pytest.raises(UnsafeName):
        library.build([], Encoder(), name=name, version="1", space_id="mini", dimension=8, created=NOON)
    with pytest.raises(UnsafeName):
        library.versions(name)
    with pytest.raises(UnsafeName):
        library.find("mini", f"starter@{name}")


def test_no_captions_make_an_empty_database(library: Library) -> None:
    library.build([], Encoder(), name="empty", version="1", space_id="mini", dimension=8, created=NOON)
    index = library.open("mini", "empty@1")
    assert index.count() == 0
    index.close()
