"""The paper's way of computing gives the tags of ours, and both are timed."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from ops.bench.random_models import save_random
from ops.bench.reference import Padded, Sizes, measured, ours, theirs
from ops.bench.varied import Varied
from tasks.encoders.huggingface import HFTextEncoder
from vectordb.starter import captions


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    save_random("random-tiny", folder)
    return str(folder)


def test_padding_to_77_tokens_changes_no_vector(model: str) -> None:
    texts = ["cat", "a kind of coffee maker", "abbey, a kind of church"]
    plain = HFTextEncoder(model, dtype=torch.float32)
    np.testing.assert_allclose(Padded(model, plain.space).encode(texts), plain.encode(texts), atol=1e-5)


def test_both_ways_find_the_same_words(model: str) -> None:
    found = [list(islice(captions(), begin, begin + 10)) for begin in (0, 500)]
    pictures = Varied(side=64)
    files = [pictures.jpeg() for _ in found]
    tags = [
        [{tag.label for tag in way.tagged(file, near)} for file, near in zip(files, found, strict=True)]
        for way in (theirs(model), ours(model, found))
    ]
    for plain, fast in zip(*tags, strict=True):  # the last ones are as good, and bfloat16 may choose another one
        assert len(plain & fast) >= 0.6 * max(len(plain), len(fast)) > 0


def test_the_ratio_is_that_of_the_rounds() -> None:
    pictures = Varied(side=64)
    images = [pictures.picture() for _ in range(4)]
    near = [list(islice(captions(), begin, begin + 10)) for begin in range(0, 40, 10)]
    found = measured("random-tiny", images, near, Sizes(rounds=2, photographs=2, theirs=1))
    assert [len(values) for values in found["rounds_ms"].values()] == [2, 2, 2]
    assert found["ratio"]["again"]["least"] > 0
    assert found["texts_an_image"] > 10  # the captions, and words
