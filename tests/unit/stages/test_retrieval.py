"""Shows that retrieval removes near-copies as a plain union-find does, and what it makes of odd databases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.messages import Floats
from tasks.retrieval import centroid, first_of_each, retrieve
from tests.unit.stages.made_up import CAPTIONS, SPACE, embedded, index_of, random_units, vector_of
from vectordb.captions import Caption
from vectordb.exact import ExactIndex
from vectordb.index import WrongDimension


def union_find(vectors: Floats, threshold: float) -> list[int]:
    """The smallest row of each component, by the textbook."""
    parent = list(range(len(vectors)))

    def root(row: int) -> int:
        while parent[row] != row:
            row = parent[row]
        return row

    for one in range(len(vectors)):
        for other in range(one):
            if float(vectors[one] @ vectors[other]) > threshold:
                low, high = sorted((root(one), root(other)))
                parent[high] = low
    return sorted({root(row) for row in range(len(vectors))})


@given(seed=st.integers(0, 10**6), count=st.integers(1, 40), dimension=st.integers(2, 6))
def test_one_of_each_component_remains(seed: int, count: int, dimension: int) -> None:
    vectors = random_units(seed, count, dimension)
    for threshold in (0.5, 0.8, 0.94):
        assert first_of_each(vectors, threshold).tolist() == union_find(vectors, threshold)


def test_a_chain_of_near_copies_is_one_component() -> None:
    """Neighbours on a circle are near, the ends of the arc are not."""
    angles = np.deg2rad(np.arange(0, 180, 15))
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert first_of_each(vectors[[5, 0, 11, 1, 10, 2, 9, 3, 8, 4, 7, 6]], 0.94).tolist() == [0]
    assert first_of_each(vectors[:0], 0.94).tolist() == []


def test_copies_are_gone_before_the_centroid_is_taken() -> None:
    index = ExactIndex(2)
    vectors = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], dtype=np.float32)
    index.add([Caption(number, str(number)) for number in range(4)], vectors)
    batch = retrieve(embedded(vectors[:1]), index)
    assert [hit.caption for hit in batch.hits[0]] == ["0", "3"]
    assert batch.centroids.array()[0] == pytest.approx([0.5**0.5, 0.5**0.5])
    assert [hit.similarity for hit in batch.hits[0]] == [1.0, 0.0]


def test_each_image_has_its_own_captions_in_one_search() -> None:
    images = np.stack([vector_of(text) for text in CAPTIONS[:5]])
    batch = retrieve(embedded(images), index_of(), limit=3)
    assert [found[0].caption for found in batch.hits] == list(CAPTIONS[:5])
    assert all(len(found) == 3 for found in batch.hits)
    one_by_one = [retrieve(embedded(images[at : at + 1]), index_of(), limit=3) for at in range(5)]
    assert [found.hits[0] for found in one_by_one] == list(batch.hits)


def test_an_empty_database_gives_no_hits_and_a_centroid_of_zeros() -> None:
    batch = retrieve(embedded(random_units(0, 2)), index_of(()))
    assert batch.hits == ((), ())
    assert not batch.centroids.array().any()


def test_an_empty_batch_stays_empty() -> None:
    batch = retrieve(embedded(random_units(0, 0)), index_of())
    assert (batch.hits, batch.centroids.array().shape) == ((), (0, SPACE.dimension))


def test_captions_of_another_space_are_refused() -> None:
    with pytest.raises(WrongDimension, match=r"16 dimensions .* 3"):
        retrieve(embedded(random_units(0, 1)), ExactIndex(3))


def test_vectors_that_cancel_out_have_no_direction() -> None:
    assert centroid(np.array([[1, 0], [-1, 0]], dtype=np.float32)).tolist() == [0, 0]
