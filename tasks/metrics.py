"""Metrics of tags without a vocabulary (CaSED, section 5: cluster accuracy, semantic IoU, similarity).

``predictions[i]`` is the best tag of the image whose true label is ``targets[i]``. All values are in [0, 1], except
that a mean cosine may be below 0; without images all are 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]  # scipy has no stubs of its own

from tasks.message_parts import Floats


def cluster_accuracy(predictions: Sequence[str], targets: Sequence[str]) -> float:
    """The share of correct images under the best one-to-one assignment of predicted groups to labels."""
    if not predictions:
        return 0.0
    _, groups = np.unique(predictions, return_inverse=True)
    _, labels = np.unique(targets, return_inverse=True)
    together = np.zeros((groups.max() + 1, labels.max() + 1), dtype=np.int64)
    np.add.at(together, (groups, labels), 1)
    rows, columns = linear_sum_assignment(together, maximize=True)
    return float(together[rows, columns].sum() / len(predictions))


def semantic_iou(predictions: Sequence[str], targets: Sequence[str]) -> float:
    """The mean word overlap of prediction and label, in lower case and without punctuation."""
    shares = [_shared(_words(one), _words(other)) for one, other in zip(predictions, targets, strict=True)]
    return sum(shares) / max(1, len(shares))


def semantic_similarity(
    predictions: Sequence[str], targets: Sequence[str], encode: Callable[[Sequence[str]], Floats]
) -> float:
    """The mean cosine of each prediction to its label. ``encode``: texts → (n, d) unit vectors; each text once."""
    texts = sorted({*predictions, *targets})
    if not texts:
        return 0.0
    row = {text: at for at, text in enumerate(texts)}
    vectors = encode(texts)
    ours = vectors[[row[text] for text in predictions]]
    true = vectors[[row[text] for text in targets]]
    return float((ours * true).sum(axis=1, dtype=np.float64).mean())


def _words(text: str) -> frozenset[str]:
    return frozenset("".join([letter for letter in text if letter.isalnum() or letter == " "]).lower().split())


def _shared(one: frozenset[str], other: frozenset[str]) -> float:
    together = len(one | other)
    return len(one & other) / together if together else 0.0
