"""A version is copied from any home to any other, goes on where it was killed, and is seen when it is right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.contract.homes import DIMENSION, HOMES, Homes, lent, vectors
from tests.contract.vectordb.snapshot_samples import BOTH, CAPTIONS, MANIFEST, TAUGHT, built, equal, held
from vectordb import copying
from vectordb.captions import SOURCE, Caption
from vectordb.copying import Copied, CopyDiffers, Hooks, compare, copy, missing
from vectordb.errors import Transient
from vectordb.folder import FolderBuilding
from vectordb.index import CaptionIndex, Floats, IndexFault, Neighbours
from vectordb.journal import Journal, OtherSource
from vectordb.library import ChangeableLibrary, VersionExists
from vectordb.server_library import ServerBuilding

ALL = sorted([*CAPTIONS, TAUGHT], key=lambda caption: caption.id)
LATE = Caption.of("a samovar", **{SOURCE: "her"})


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[Homes]:
    with lent(tmp_path) as homes:
        yield homes


class Killed(BaseException):
    """The process ends here."""


class Source:
    """An index that is read, and changes or breaks while it is."""

    def __init__(self, index: CaptionIndex) -> None:
        self.dimension = index.dimension
        self._index = index
        self.asked: list[int] = []
        self.kill_before_page = -1
        self.away = 0
        self.teach_after_page = -1
        self.remove_taught = True

    def pages(
        self, source: str | None = None, after: int = -1, *, taught: bool = False
    ) -> Iterator[tuple[list[Caption], Floats]]:
        for number, page in enumerate(self._index.pages(source, after, taught=taught)):
            if not taught and number == self.kill_before_page:
                raise Killed
            if number and self.away:
                self.away -= 1
                raise IndexFault("away")
            self.asked.append(len(page[0]))
            yield page
            if not taught and number == self.teach_after_page:
                self.teach_after_page = -1
                self._index.add([LATE], vectors([LATE]))
                if self.remove_taught:
                    self._index.remove([TAUGHT.id])

    def search(self, queries: Floats, limit: int) -> list[Neighbours]:
        return self._index.search(queries, limit)

    def count(self) -> int:
        return self._index.count()

    def get(self, ids: Sequence[int]) -> list[Caption]:
        return self._index.get(ids)

    def add(self, captions: Sequence[Caption], rows: Floats) -> None:
        self._index.add(captions, rows)

    def remove(self, ids: Sequence[int]) -> None:
        self._index.remove(ids)

    def close(self) -> None:
        self._index.close()


@pytest.fixture
def source(homes: Homes) -> Iterator[Source]:
    library = homes("folder", "here")
    built(library)
    source = Source(library.open("mini", "soups@v1"))
    yield source
    source.close()


@pytest.mark.parametrize(("kind", "target"), BOTH)
def test_a_copy_holds_what_its_source_holds(homes: Homes, kind: str, target: str) -> None:
    here, there = homes(kind, "here"), homes(target, "there")
    built(here)
    before = held(here)
    source = here.open("mini", "soups@v1")
    counts: list[int] = []
    assert copy(source, MANIFEST, there, Hooks(on_progress=counts.append)) == Copied(len(ALL), len(ALL), 1)
    source.close()
    assert counts == [1024, len(ALL)]
    assert there.find("mini", "soups@v1") == MANIFEST
    assert there.active("mini") is None
    assert there.unfinished() == []
    after = held(there)
    assert before[0] == after[0] == ALL
    equal(before[1], after[1], target)


@pytest.mark.parametrize("target", HOMES)
def test_a_killed_copy_goes_on_with_the_page_it_was_at(homes: Homes, source: Source, target: str) -> None:
    there = homes(target, "there")
    source.kill_before_page = 1
    with pytest.raises(Killed):
        copy(source, MANIFEST, there)
    assert there.find("mini", "soups@v1") is None
    assert there.unfinished() == [("mini", "soups@v1")]
    source.kill_before_page, source.asked = -1, []
    assert copy(source, MANIFEST, there).brought == len(ALL) - 1024
    assert source.asked[0] == len(ALL) - 1024
    assert held(there)[0] == ALL


@pytest.mark.long
@pytest.mark.parametrize("target", HOMES)
@pytest.mark.parametrize("where", ["before the notes", "before the first note", "before comparing", "at the end"])
def test_a_copy_goes_on_wherever_it_was_killed(
    homes: Homes, source: Source, target: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = homes(target, "there")

    def killed(*_: object, **__: object) -> None:
        raise Killed

    broken = {
        "before the notes": (Journal, "opened"), "before the first note": (Journal, "commit"),
        "before comparing": (copying, "compare"),
        "at the end": (FolderBuilding if target == "folder" else ServerBuilding, "finish"),
    }[where]  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(*broken, killed)
        with pytest.raises(Killed):
            copy(source, MANIFEST, there)
    assert there.manifests() == []
    copy(source, MANIFEST, there)
    assert held(there)[0] == ALL


@pytest.mark.long
@pytest.mark.parametrize("target", HOMES)
def test_what_is_taught_and_taken_back_meanwhile_is_brought_into_line(
    homes: Homes, source: Source, target: str
) -> None:
    there = homes(target, "there")
    source.teach_after_page = 1  # behind the last page
    assert copy(source, MANIFEST, there).taught == 1
    assert held(there)[0] == sorted([*CAPTIONS, LATE], key=lambda caption: caption.id)


def test_what_is_away_is_waited_for_where_somebody_waits(homes: Homes, source: Source) -> None:
    waited: list[str] = []
    source.away = 2
    with pytest.raises(IndexFault):
        copy(source, MANIFEST, homes("folder", "impatient"))
    assert source.away == 1

    def wait(exc: Transient) -> None:
        waited.append(str(exc))

    assert copy(source, MANIFEST, homes("server", "there"), Hooks(wait=wait)).count == len(ALL)
    assert waited == ["away"]


@pytest.mark.parametrize("target", HOMES)
def test_a_copy_takes_nobodys_place(homes: Homes, source: Source, target: str) -> None:
    there = homes(target, "there")
    with there.building("mini", "soups@v1", DIMENSION) as building:  # an import that was interrupted
        building.index.add(CAPTIONS[:3], vectors(CAPTIONS[:3]))
    with pytest.raises(OtherSource, match="no-resume"):
        copy(source, MANIFEST, there)
    assert copy(source, MANIFEST, there, resume=False).count == len(ALL)
    with pytest.raises(VersionExists):
        copy(source, MANIFEST, there)
    with pytest.raises(VersionExists):
        copy(source, MANIFEST, there, resume=False)


def test_an_import_does_not_go_on_with_a_copy(homes: Homes, source: Source) -> None:
    there = homes("folder", "there")
    source.kill_before_page = 1
    with pytest.raises(Killed):
        copy(source, MANIFEST, there)
    with (
        there.building("mini", "soups@v1", DIMENSION) as building,
        pytest.raises(OtherSource),
        Journal.opened(building.folder, "soups.txt"),
    ):
        pass


def other(library: ChangeableLibrary, captions: list[Caption], rows: Floats) -> CaptionIndex:
    with library.building("mini", "soups@v1", DIMENSION) as building:
        building.index.add(captions, rows)
        building.finish(MANIFEST)
    return library.open("mini", "soups@v1")


@pytest.mark.long
@pytest.mark.parametrize("target", HOMES)
def test_ten_searches_tell_what_is_not_the_same(homes: Homes, source: Source, target: str) -> None:
    compare(source, other(homes(target, "same"), ALL, vectors(ALL)))
    rows = vectors(ALL)
    dice = np.random.default_rng(1)
    turned = rows[dice.permutation(len(rows))]
    payloads = [replace(caption, payload={"n": 1}) for caption in ALL]
    strangers = [Caption.of(f"something else {number}") for number in range(len(ALL))]
    wrong = [(ALL, turned), (payloads, rows), (strangers, rows), (ALL[:-1], rows[:-1])]
    for number, (captions, matrix) in enumerate(wrong):
        index = other(homes(target, f"wrong{number}"), captions, matrix)
        with pytest.raises(CopyDiffers):
            compare(source, index)
        index.close()


def test_a_copy_that_differs_is_not_seen(homes: Homes, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    there = homes("folder", "there")
    with monkeypatch.context() as patch:
        patch.setattr(copying, "level", lambda *_: 0)
        source.teach_after_page, source.remove_taught = 1, False
        with pytest.raises(CopyDiffers, match="not published"):
            copy(source, MANIFEST, there)
    assert there.manifests() == []


def test_what_was_taught_to_one_alone_is_counted_and_brought(homes: Homes, source: Source) -> None:
    there = homes("server", "there")
    copy(source, MANIFEST, there)
    source.add([LATE], vectors([LATE]))
    index = there.open("mini", "soups@v1")
    assert missing(source, index, bring=False) == 1
    assert index.get([LATE.id]) == []
    assert missing(source, index, bring=True) == 1
    assert index.get([LATE.id]) == [LATE]
    assert missing(source, index, bring=True) == 0


@pytest.mark.parametrize("target", HOMES)
def test_few_captions_and_none_are_copied(homes: Homes, target: str) -> None:
    for count in (0, 1, 3):
        manifest = replace(MANIFEST, version=f"v{count}", count=count)
        with homes("folder", "here").building("mini", f"few@v{count}", DIMENSION) as few:
            few.index.add(CAPTIONS[:count], vectors(CAPTIONS[:count]))
            assert copy(few.index, manifest, homes(target, "there")).count == count
