"""Shows the metrics on cases that can be worked out by hand, and cluster accuracy against all namings."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.message_parts import Floats
from tasks.metrics import cluster_accuracy, semantic_iou, semantic_similarity
from tests.unit.stages.made_up import vector_of


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("vwxyz")), min_size=1, max_size=12))
def test_cluster_accuracy_is_the_best_of_all_namings(pairs: list[tuple[str, str]]) -> None:
    predictions, targets = [one for one, _ in pairs], [other for _, other in pairs]
    best = max(
        sum(dict(zip("abcd", naming, strict=False)).get(one) == other for one, other in pairs)
        for naming in permutations("vwxyz", 4)
    )
    assert cluster_accuracy(predictions, targets) == pytest.approx(best / len(pairs))


def test_semantic_iou_compares_words() -> None:
    assert semantic_iou(["Sports Car!", "dog", "?"], ["red sports car", "cat", "!"]) == pytest.approx(2 / 3 / 3)


def test_semantic_similarity_encodes_each_text_once() -> None:
    asked: list[str] = []

    def encode(texts: Sequence[str]) -> Floats:
        asked.extend(texts)
        return np.stack([vector_of(text) for text in texts])

    value = semantic_similarity(["cat", "dog", "cat"], ["cat", "cat", "cat"], encode)
    assert value == pytest.approx((2 + float(vector_of("dog") @ vector_of("cat"))) / 3, abs=1e-6)
    assert sorted(asked) == ["cat", "dog"]


def test_of_no_images_all_metrics_are_zero() -> None:
    assert cluster_accuracy([], []) == semantic_iou([], []) == 0
    assert semantic_similarity([], [], lambda texts: np.zeros((len(texts), 1), dtype=np.float32)) == 0
