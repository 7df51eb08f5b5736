"""Thresholds are derived with the encoders of the space, and a part that fails costs only itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from tasks.encoders.protocols import Space
from tasks.encoders.requirements import ModelNotLoaded
from tasks.message_parts import Floats
from tasks.thresholds.derived import Derived, read
from tests.unit.thresholds.made_spaces import CLIP, MadeSpace
from vectordb.building import Draft, Hooks, build, encoding
from vectordb.captions import Caption
from vectordb.exact import ExactIndex
from vectordb.folder import FolderLibrary
from vectordb.index import CaptionIndex
from vectordb.source_rows import rows_of
from workers.captions.thresholds import Deriving

SPACE = Space("clip-512", CLIP.dimension, 100.0)


class Images:
    """Vectors of the made space for images of nothing, by kind."""

    space, side = SPACE, 32

    def __init__(self, made: MadeSpace) -> None:
        self._kinds = iter(made.nulls().values())

    def encode(self, images: Sequence[Image.Image]) -> Floats:
        rows = next(self._kinds)
        assert len(images) == len(rows)
        return rows


class Words:
    """Every word has a vector of its own: there are no synonyms."""

    space = SPACE

    def encode(self, texts: Sequence[str]) -> Floats:
        rows = np.random.default_rng(0).normal(size=(len(texts), CLIP.dimension)).astype(np.float32)
        unit: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


def no_encoder() -> Images:
    raise ModelNotLoaded("there is no such model")


@pytest.fixture(scope="module")
def made() -> MadeSpace:
    return MadeSpace(CLIP)


@pytest.fixture(scope="module")
def index(made: MadeSpace) -> CaptionIndex:
    found = ExactIndex(CLIP.dimension)
    found.add([Caption.of(f"caption {number}") for number in range(len(made.captions))], made.captions)
    return found


def test_all_four_are_derived_from_the_index_and_the_encoders(made: MadeSpace, index: CaptionIndex) -> None:
    stored = Deriving(SPACE.id, Words, lambda: Images(made), ("a photo of a {}",), 10)(index)
    derived = read(stored)
    assert derived is not None
    assert derived.unknown.value == pytest.approx(0.268, abs=0.01)
    assert derived.unknown.numbers["captions"] == 2010
    assert "does not tell synonyms" in derived.synonym.reason
    assert derived.prompts
    assert derived.thresholds.unknown == derived.unknown.value


def test_an_encoder_that_cannot_be_loaded_costs_its_thresholds_only(index: CaptionIndex) -> None:
    derived = read(Deriving(SPACE.id, Words, no_encoder, ("{}",), 10)(index))
    assert derived is not None
    assert derived.unknown.reason == "the image encoder failed: there is no such model"
    assert "does not tell synonyms" in derived.synonym.reason
    assert derived.prompts == ""


def test_a_build_publishes_its_thresholds_with_the_version(tmp_path_factory: pytest.TempPathFactory) -> None:
    library = FolderLibrary(tmp_path_factory.mktemp("library"))
    seen: list[int] = []

    def thresholds(index: CaptionIndex) -> dict[str, object]:
        seen.append(index.count())
        assert library.manifests() == []  # not visible yet
        return Derived.off("mini", "a test").stored()

    draft = Draft("mine", "v1", "mini", 4, datetime(2026, 11, 29, tzinfo=UTC), "a test")
    prepare = encoding(lambda texts: np.eye(4, dtype=np.float32)[: len(texts)], 4)
    made = build(library, draft, rows_of(["one", "two", "three"]), str, prepare, Hooks(thresholds=thresholds))
    assert seen == [3]
    assert library.find("mini", "mine@v1") == made
    kept = read(made.thresholds)
    assert kept is not None
    assert kept.head.reason == "a test"
    assert library.find("mini", "mine@v1") == made
