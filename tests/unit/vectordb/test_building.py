"""A build takes every caption of its source once, whoever is killed in the middle of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from vectordb.building import Draft, Hooks, NoCaptions, Prepare, Prepared, build, encoding
from vectordb.captions import Caption, normalise
from vectordb.errors import Permanent, Transient
from vectordb.folder import FolderLibrary
from vectordb.index import Floats, IndexFault, WrongDimension
from vectordb.journal import OtherSource, Progress
from vectordb.library import Manifest, VersionExists
from vectordb.readers.rows import Skipped
from vectordb.source_rows import Chunk, Texts, rows_of

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
DRAFT = Draft("mine", "v1", "mini", 8, NOON, source="one")
TEXTS = [f"caption {number % 90}" for number in range(100)] + ["", "  ", "the last"]


def vectors_of(texts: Sequence[str]) -> Floats:
    """Vectors that follow from the text alone."""
    rows = [np.random.default_rng(list(text.encode())).normal(size=8) for text in texts]
    return np.array(rows, dtype=np.float32)


class Encoder:
    """Notes what it was asked, and is killed after some calls."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.calls: list[list[str]] = []
        self.dies_after = dies_after

    def __call__(self, texts: Sequence[str]) -> Floats:
        if len(self.calls) == self.dies_after:
            raise KeyboardInterrupt
        self.calls.append(list(texts))
        return vectors_of(texts)


@pytest.fixture
def library(tmp_path: Path) -> FolderLibrary:
    return FolderLibrary(tmp_path / "captions")


def built(
    library: FolderLibrary,
    encode: Encoder,
    texts: Sequence[str] = TEXTS,
    draft: Draft = DRAFT,
    *,
    resume: bool = True,
) -> Manifest:
    rows = rows_of(texts, size=10)
    return build(library, draft, rows, normalise, encoding(encode, 8), resume=resume, chunk=20)


def held(library: FolderLibrary, version: str = "mine@v1") -> dict[str, Floats]:
    index = library.open("mini", version)
    found = {caption.text: row for page, rows in index.pages() for caption, row in zip(page, rows, strict=True)}
    index.close()
    return found


def test_every_caption_is_taken_once_and_everything_is_counted(library: FolderLibrary) -> None:
    manifest = built(library, Encoder())
    assert (manifest.read, manifest.empty, manifest.duplicate, manifest.count) == (103, 2, 10, 91)
    assert held(library).keys() == {text for text in TEXTS if text.strip()}
    assert library.find("mini", "mine@v1") == manifest


def test_texts_are_encoded_in_chunks(library: FolderLibrary) -> None:
    encode, reports = Encoder(), list[Progress]()
    hooks = Hooks(on_progress=reports.append)
    build(library, DRAFT, rows_of(TEXTS, size=10), normalise, encoding(encode, 8), hooks, chunk=20)
    assert [len(call) for call in encode.calls] == [20, 20, 20, 20, 11]
    assert [progress.count for progress in reports] == [20, 40, 60, 80, 91]


def test_a_killed_build_is_not_seen_and_goes_on_where_it_was(library: FolderLibrary) -> None:
    with pytest.raises(KeyboardInterrupt):
        built(library, Encoder(dies_after=2))
    assert library.find("mini", "mine@v1") is None
    encode = Encoder()
    manifest = built(library, encode)
    assert [len(call) for call in encode.calls] == [20, 20, 11]
    assert (manifest.read, manifest.empty, manifest.duplicate, manifest.count) == (103, 2, 10, 91)
    whole = FolderLibrary(library._root.with_name("whole"))
    built(whole, Encoder())
    ours, theirs = held(library), held(whole)
    assert ours.keys() == theirs.keys()
    for text, row in ours.items():
        np.testing.assert_array_equal(row, theirs[text])


def test_a_kill_between_index_and_journal_repeats_a_chunk_and_changes_nothing(
    library: FolderLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("vectordb.journal.Journal.commit", killed)
        with pytest.raises(KeyboardInterrupt):
            built(library, Encoder())
    assert built(library, Encoder()).count == 91
    assert len(held(library)) == 91


def test_captions_that_the_index_has_lost_are_taken_again(library: FolderLibrary) -> None:
    with pytest.raises(KeyboardInterrupt):
        built(library, Encoder(dies_after=3))
    with library.building("mini", "mine@v1", 8) as building:  # a power cut kept the journal and lost a chunk
        building.index.remove([Caption.of(f"caption {number}").id for number in range(20)])
    assert built(library, Encoder()).count == 91
    assert len(held(library)) == 91


def test_an_interrupted_build_goes_on_with_no_other_source_unless_it_does_not_resume(library: FolderLibrary) -> None:
    with pytest.raises(KeyboardInterrupt):
        built(library, Encoder(dies_after=2))
    other = replace(DRAFT, source="another")
    with pytest.raises(OtherSource, match="no-resume"):
        built(library, Encoder(), ["a cup"], other)
    assert built(library, Encoder(), ["a cup"], other, resume=False).count == 1
    assert held(library).keys() == {"a cup"}


def test_a_whole_version_is_not_built_again(library: FolderLibrary) -> None:
    built(library, Encoder())
    with pytest.raises(VersionExists, match="mine@v1"):
        built(library, Encoder())


def test_a_source_that_breaks_off_leaves_what_was_read_and_its_fault(library: FolderLibrary) -> None:
    def broken() -> Iterator[Texts]:
        yield from rows_of(TEXTS[:35], size=10)
        raise Permanent("cut off at line 36")

    result = build(library, DRAFT, broken(), normalise, encoding(Encoder(), 8), chunk=20)
    assert result.fault == "cut off at line 36"
    assert result.count == 35
    kept = library.find("mini", "mine@v1")
    assert kept is not None
    assert kept.fault == "cut off at line 36"
    assert len(held(library)) == 35


def test_vectors_of_the_source_are_taken_as_they_are(library: FolderLibrary) -> None:
    texts = [text for text in TEXTS if text.strip()]
    given = vectors_of(texts)
    rows = (Texts(texts[at : at + 10], given[at : at + 10]) for at in range(0, len(texts), 10))

    def never(_: Sequence[str]) -> Floats:
        raise AssertionError

    build(library, DRAFT, rows, normalise, encoding(never, 8), chunk=20)
    for text, row in held(library).items():
        expected = given[texts.index(text)]
        np.testing.assert_allclose(row, expected / np.linalg.norm(expected), atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, np.float32(3e38)])
def test_a_row_with_a_useless_vector_is_left_out_counted_and_named(library: FolderLibrary, value: float) -> None:
    texts = [f"caption {number}" for number in range(300)]
    given = vectors_of(texts)
    given[17] = value
    pieces = [Texts(texts[:10], given[:10]), Texts(texts[10:], given[10:])]
    made = build(library, DRAFT, pieces, normalise, encoding(Encoder(), 8))
    assert (made.count, made.read, made.fault) == (299, 300, "")
    assert made.skipped == {"unusable_vector": 1}
    assert "(caption 18 of the source)" in made.skipped_examples[0]
    assert library.find("mini", "mine@v1") == made
    assert held(library).keys() == {*texts} - {texts[17]}


def test_too_many_useless_vectors_are_a_fault_of_the_source(library: FolderLibrary) -> None:
    texts = [f"caption {number}" for number in range(300)]
    given = vectors_of(texts)
    given[[3, 50, 51, 299]] = np.nan
    made = build(library, DRAFT, [Texts(texts, given)], normalise, encoding(Encoder(), 8))
    assert (made.count, made.skipped) == (296, {"unusable_vector": 4})
    assert "4 of 300 vectors of the source cannot be used, more than 1%" in made.fault


def test_rows_that_are_left_out_are_counted_once_whatever_is_resumed(library: FolderLibrary) -> None:
    def rows() -> Iterator[Texts]:
        for start in range(0, 100, 10):
            texts = [f"caption {number}" for number in range(start, start + 10)]
            texts[4] = ""
            yield Texts(texts, None, {4: Skipped("ragged", f"too short (line {start + 5})")}, ["a note"])

    notes: list[str] = []
    hooks = Hooks(note=notes.append)
    with pytest.raises(KeyboardInterrupt):
        build(library, DRAFT, rows(), normalise, encoding(Encoder(dies_after=2), 8), hooks, chunk=20)
    made = build(library, DRAFT, rows(), normalise, encoding(Encoder(), 8), hooks, chunk=20)
    assert (made.read, made.count, made.empty, made.skipped) == (100, 90, 0, {"ragged": 10})
    assert list(made.skipped_examples) == [f"too short (line {line})" for line in (5, 15, 25)]
    assert set(notes) == {"a note"}


def test_vectors_of_another_dimension_are_refused_with_what_to_do(library: FolderLibrary) -> None:
    given = np.ones((2, 9), dtype=np.float32)
    with pytest.raises(WrongDimension, match=r"9 dimensions.* 8: .*another model"):
        build(library, DRAFT, [Texts(["a", "b"], given)], normalise, encoding(Encoder(), 8))


def test_an_index_that_is_away_is_waited_for(library: FolderLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    from vectordb.edge import EdgeIndex  # noqa: PLC0415 -- only this test makes it fail

    add, waits = EdgeIndex.add, list[Transient]()

    def sometimes(index: EdgeIndex, captions: Sequence[Caption], vectors: Floats) -> None:
        if len(waits) < 3:
            raise IndexFault("away")
        add(index, captions, vectors)

    monkeypatch.setattr(EdgeIndex, "add", sometimes)
    with pytest.raises(IndexFault):
        built(library, Encoder())
    hooks = Hooks(wait=waits.append)
    build(library, DRAFT, rows_of(TEXTS, size=10), normalise, encoding(Encoder(), 8), hooks, chunk=20)
    assert len(waits) == 3
    assert len(held(library)) == 91


def test_encoders_that_work_ahead_get_the_same_result(library: FolderLibrary) -> None:
    def ahead(chunks: Iterator[Chunk]) -> Iterator[Prepared]:
        waiting: list[Chunk] = []
        for chunk in chunks:
            waiting.append(chunk)
            if len(waiting) == 3:
                yield ready(waiting.pop(0))
        yield from map(ready, waiting)

    def ready(chunk: Chunk) -> Prepared:
        texts = [caption.text for caption in chunk.captions]
        return Prepared(vectors_of(texts), [{"length": len(text)} for text in texts])

    prepare: Prepare = ahead
    manifest = build(library, DRAFT, rows_of(TEXTS, size=10), normalise, prepare, chunk=20)
    assert (manifest.read, manifest.empty, manifest.duplicate, manifest.count) == (103, 2, 10, 91)
    index = library.open("mini", "mine@v1")
    assert index.get([Caption.of("the last").id]) == [Caption(Caption.of("the last").id, "the last", {"length": 8})]
    index.close()


def test_nothing_to_build_from_leaves_nothing(library: FolderLibrary) -> None:
    def broken() -> Iterator[Texts]:
        yield Texts(["", " "])
        raise Permanent("no text at all")

    with pytest.raises(NoCaptions, match="no captions found in the source"):
        built(library, Encoder(), ["", "  "])
    with pytest.raises(Permanent, match="no text at all"):
        build(library, DRAFT, broken(), normalise, encoding(Encoder(), 8))
    assert library.manifests() == []
    assert library.unfinished() == []
