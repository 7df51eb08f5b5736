"""The sample of a captions version against which similarities are compared."""

from __future__ import annotations

import numpy as np
import pytest

from vectordb.captions import SOURCE, Caption
from vectordb.exact import ExactIndex
from vectordb.index import PAGE, SAMPLE_LEAST, sample

DIMENSION = 8


def filled(count: int) -> ExactIndex:
    """An index with so many imported captions."""
    index = ExactIndex(DIMENSION)
    vectors = np.random.default_rng(1).normal(size=(count, DIMENSION)).astype(np.float32)
    index.add([Caption.of(f"caption {number}") for number in range(count)], vectors)
    return index


@pytest.mark.parametrize("count", [SAMPLE_LEAST, PAGE - 1, PAGE, PAGE + 100])
def test_it_is_the_same_whatever_was_taught_since(count: int) -> None:
    index = filled(count)
    before = sample(index)
    assert len(before) == min(count, PAGE)
    taught = [Caption.of(f"lesson {number}", **{SOURCE: "somebody"}) for number in range(50)]
    index.add(taught, np.ones((len(taught), DIMENSION), np.float32))
    assert np.array_equal(sample(index), before)


def test_there_is_none_of_few_captions() -> None:
    assert sample(filled(SAMPLE_LEAST - 1)).shape == (0, DIMENSION)
