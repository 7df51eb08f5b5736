"""Shows that retrieval removes near-copies as a plain union-find does, and what it makes of odd databases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.hubness import NEAREST, ReferenceVectors
from tasks.message_parts import Floats
from tasks.retrieval import centroid, first_of_each, retrieve, without_hubs
from tests.unit.stages.made_up import CAPTIONS, SPACE, embedded, index_of, random_units, vector_of
from vectordb.captions import Caption
from vectordb.exact import ExactIndex
from vectordb.index import Neighbours, WrongDimension


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


def test_hubs_give_way_to_the_captions_behind_them() -> None:
    """A caption that is near to pictures of every kind goes; what is left is in the order of the cosines."""
    index = ExactIndex(3)
    texts = ["hub", "own", "other", "far"]
    vectors = np.array([[0.7, 0.7, 0.1], [0.8, 0, 0.6], [0.5, 0, 0.8], [0, 1, 0]], dtype=np.float32)
    index.add([Caption.of(text) for text in texts], vectors)
    image = embedded(np.array([[0.9, 0.3, 0.3]], dtype=np.float32))
    reference_vectors = ReferenceVectors(np.array([[0.6, 0.8, 0], [0.8, 0.6, 0]], dtype=np.float32))
    plain = retrieve(image, index, limit=2)
    assert [hit.caption for hit in plain.hits[0]] == ["own", "hub"]
    fair = retrieve(image, index, limit=2, reference_vectors=reference_vectors)
    assert [hit.caption for hit in fair.hits[0]] == ["own", "other"]
    first, second = fair.hits[0]
    assert first.similarity > second.similarity
    everything = retrieve(image, index, limit=4, reference_vectors=reference_vectors)
    assert everything.hits == retrieve(image, index, limit=4).hits


@given(seed=st.integers(0, 10**6), count=st.integers(0, 60), limit=st.integers(1, 20), pictures=st.integers(1, 30))
def test_hubs_are_held_back_as_a_plain_loop_does_it(seed: int, count: int, limit: int, pictures: int) -> None:
    vectors, reference_vectors, image = (random_units(seed + at, n, 8) for at, n in enumerate((count, pictures, 1)))
    similarities = np.sort(vectors @ image[0])[::-1]
    vectors = vectors[np.argsort(-(vectors @ image[0]), kind="stable")]
    found = Neighbours(tuple(Caption(at, str(at)) for at in range(count)), similarities, vectors)
    kept = without_hubs(found, ReferenceVectors(reference_vectors), limit)
    margins = []
    for at, vector in enumerate(vectors):
        near = sorted((float(vector @ one) for one in reference_vectors), reverse=True)[:NEAREST]
        margins.append((float(similarities[at]) - sum(near) / len(near), at))
    expected = sorted(at for _, at in sorted(margins, key=lambda one: (-one[0], one[1]))[:limit])
    assert [caption.id for caption in kept.captions] == expected
    assert np.array_equal(kept.vectors, vectors[expected])
    assert np.array_equal(kept.similarities, similarities[expected])


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
