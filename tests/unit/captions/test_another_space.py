"""The captions of one space are those of the other one, what was taught meanwhile included."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tasks.encoders.protocols import Space
from vectordb.captions import SOURCE, Caption
from vectordb.exact import ExactIndex
from vectordb.folder import FolderLibrary
from vectordb.index import Floats
from vectordb.library import Manifest
from vectordb.options import IndexOptions
from workers.captions.another_space import encode_for, is_level, level

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)


class Encoder:
    space = Space("new", 4, 10.0)

    def encode(self, texts: Sequence[str]) -> Floats:
        rows = np.array([np.random.default_rng(list(text.encode())).normal(size=4) for text in texts], np.float32)
        unit: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


def index(*texts: str) -> ExactIndex:
    made = ExactIndex(4)
    made.add([Caption.of("a cup")], Encoder().encode(["a cup"]))
    if texts:
        made.add([Caption.of(text, **{SOURCE: "me"}) for text in texts], Encoder().encode(texts))
    return made


def test_what_was_taught_and_taken_back_is_told_before_it_changes() -> None:
    source, target = index("a samovar"), index("a Moka pot")
    told: list[Floats] = []

    def before(vectors: Floats) -> None:
        assert not is_level(source, target)
        told.append(vectors)

    assert level(source, target, Encoder, before) == 2
    np.testing.assert_array_equal(told[0], Encoder().encode(["a Moka pot", "a samovar"]))
    assert is_level(source, target)
    assert level(source, target, Encoder, before) == 0
    assert len(told) == 1


def test_captions_that_are_chosen_meanwhile_are_those_of_the_other_space_too(tmp_path: Path) -> None:
    library = FolderLibrary(tmp_path, IndexOptions(m=8, ef_construct=32))
    for name in ("cups", "soups"):
        manifest = Manifest(name, "v1", "old", 4, 1, None, NOON.isoformat(), origin="", read=1, source="[]")
        encode_for(library, manifest, index(), Encoder.space, Encoder, NOON)
        assert library.active("new") == f"{name}@v1"


def test_the_manifest_of_the_other_space_counts_the_imported_captions(tmp_path: Path) -> None:
    """A backup and a snapshot of a version are restored only if their imported captions are as many."""
    library = FolderLibrary(tmp_path, IndexOptions(m=8, ef_construct=32))
    manifest = Manifest("cups", "v1", "old", 4, 1, None, NOON.isoformat(), origin="", read=1, source="[]")
    assert encode_for(library, manifest, index("a samovar"), Encoder.space, Encoder, NOON).count == 1
    copy = library.open("new", "cups@v1")
    assert copy.count() == 2
    copy.close()
