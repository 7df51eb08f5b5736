"""Shows that an image has one vocabulary, that like parts are looked up once, and what is left unknown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.message_parts import Floats
from tasks.segmentation.naming import Naming, batch_of, distinct, named
from tests.unit.segmentation.world import CHOICES, SPACE, axis, pipeline

RED, TABBY, BLUE, NOTHING, GREY = axis(0), axis(0, 0.25), axis(2), np.zeros(SPACE.dimension, np.float32), axis(3)
WHOLE = np.zeros(SPACE.dimension, np.float32)


def names(*vectors: Floats, naming: Naming = Naming(), sizes: list[float] | None = None) -> list[str | None]:  # noqa: B008 -- frozen
    found = named(np.stack(vectors), np.array(sizes or [1] * len(vectors), np.float32), WHOLE, pipeline(), naming)
    return [found.labels[row.argmax()] if row.any() else None for row in found.scores]


def test_two_parts_that_would_be_a_cat_and_a_tabby_are_one_the_larger_says_which() -> None:
    apart = replace(pipeline(), pipeline_options=replace(CHOICES, synonym_similarity=1.0))
    own = [apart.score(apart.candidates(batch_of(vector[None], apart))).tags[0][0].label for vector in (RED, TABBY)]
    assert own == ["cat", "tabby"]
    assert names(RED, TABBY, BLUE, sizes=[3, 1, 2]) == ["cat", "cat", "bridge"]
    assert names(RED, TABBY, BLUE, sizes=[1, 3, 2]) == ["tabby", "tabby", "bridge"]


def test_what_no_caption_is_near_to_and_what_has_no_vector_is_unknown() -> None:
    assert names(RED, GREY, NOTHING) == ["cat", None, None]
    assert names(NOTHING, NOTHING) == [None, None]


def test_without_captions_all_is_unknown() -> None:
    found = named(np.stack([RED, BLUE]), np.ones(2, np.float32), WHOLE, pipeline(()), Naming())
    assert (found.labels, found.scores.shape) == ((), (2, 0))


def test_like_parts_are_looked_up_once() -> None:
    one = pipeline()
    found = named(np.stack([RED, RED, axis(0, 0.05), BLUE]), np.ones(4, np.float32), WHOLE, one, Naming())
    assert (found.looked_up, one.index.looked_up) == (2, 2)  # type: ignore[attr-defined]


def test_candidates_can_come_from_the_whole_image() -> None:
    one = pipeline()
    found = named(np.stack([RED, BLUE]), np.ones(2, np.float32), axis(2), one, Naming(source="image"))
    assert set(found.labels) <= {"bridge", "river"}
    assert one.index.looked_up == found.looked_up == 1  # type: ignore[attr-defined]


def test_a_vocabulary_is_bounded() -> None:
    assert names(RED, BLUE, naming=Naming(most=1), sizes=[2, 1]) == ["cat", "cat"]


@given(st.integers(0, 99), st.floats(-1, 1))
def test_every_vector_is_near_to_the_one_that_stands_for_it(seed: int, same: float) -> None:
    vectors = np.random.default_rng(seed).normal(size=(12, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    leaders, follows = distinct(vectors, same)
    for row, leader in enumerate(leaders[follows]):
        assert row == leader or vectors[row] @ vectors[leader] > same
    assert follows[leaders].tolist() == list(range(len(leaders)))
    between = (vectors[leaders] @ vectors[leaders].T)[np.triu_indices(len(leaders), 1)]
    assert (between <= same + 1e-6).all()


def test_hits_of_a_label_are_those_of_all_labels_that_it_stands_for() -> None:
    found = named(np.stack([RED, TABBY]), np.array([3, 1], np.float32), WHOLE, pipeline(), Naming(same=0.999))
    assert found.labels == ("cat",)
    assert {hit.caption for hit in found.hits[1]["cat"]} == {"a tabby", "a tabby, which is a cat"}


@pytest.mark.parametrize("source", ["part", "image"])
def test_scores_are_probabilities(source: str) -> None:
    found = named(np.stack([RED, BLUE]), np.ones(2, np.float32), axis(0), pipeline(), Naming(source=source))  # type: ignore[arg-type]
    assert found.scores.sum(axis=1) == pytest.approx(1, abs=1e-5)
