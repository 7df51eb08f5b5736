"""Shows that a query moves towards its captions and references, and stays itself without them."""

from __future__ import annotations

import numpy as np

from tasks.search.expansion import expanded
from tasks.vector_maths import unit

GENERATOR = np.random.default_rng(4)


def vectors(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return unit(GENERATOR.normal(size=(count, 16)).astype(np.float32))


def test_without_captions_and_references_the_query_stays_itself() -> None:
    query = vectors(1)[0]
    np.testing.assert_allclose(expanded(query, np.empty((0, 16), np.float32)), query, atol=1e-6)


def test_the_result_is_the_unit_mean_of_the_query_its_captions_and_the_nearest_reference() -> None:
    query, captions = vectors(1)[0], vectors(5)
    references = np.stack([query, -query])  # the softmax leaves nothing of the second
    mean = captions.mean(axis=0)
    expected = 2 * query + mean / np.linalg.norm(mean)
    found = expanded(query, captions, references)
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-5)
    assert found.dtype == np.float32


def test_captions_that_cancel_out_change_nothing() -> None:
    query = vectors(1)[0]
    other = vectors(1)[0]
    np.testing.assert_allclose(expanded(query, np.stack([other, -other])), query, atol=1e-6)
