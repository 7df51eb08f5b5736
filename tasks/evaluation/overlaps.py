"""Metrics of segmentation without a vocabulary (arXiv 2404.10864, vocabulary-free segmentation).

The names of a segmentation may differ from the classes' names, so there are several metrics: by equal name
(``hard``), by similarity of the names to the class (``soft``), and by assigning to each name the class that it
overlaps most (``overlap``) or whose name is nearest (``nearest``). Class 0 is the background, which is not evaluated.
All figures are macro averages and equal those of the reference implementation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from tasks.message_parts import Floats

Ints = NDArray[np.integer]
Encode = Callable[[Sequence[str]], Floats]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Compared:
    """A segmentation compared with the truth. ``pixels`` (names, classes): pixel counts per name and class."""

    names: Sequence[str]
    pixels: Matrix

    @classmethod
    def of(cls, names: Sequence[str], label_map: Ints, target: Ints, classes: int) -> Compared:
        """Count two maps, both (h, w): ``label_map`` into ``names``, ``target`` into the ``classes`` classes."""
        if label_map.shape != target.shape or not names:
            raise ValueError(
                f"the shapes do not match: {len(names)} names, a label map of {label_map.shape}, a target of"
                f" {target.shape}"
            )
        both = label_map.astype(np.int64).ravel() * classes + target.astype(np.int64).ravel()
        counts = np.bincount(both, minlength=len(names) * classes)
        return cls(tuple(names), counts.reshape(len(names), classes).astype(np.float64))


class Overlaps(msgspec.Struct, frozen=True, kw_only=True):
    """All values are between 0 and 1; without images all are 0."""

    jaccard_hard: float
    jaccard_soft: float
    jaccard_overlap: float
    jaccard_nearest: float
    recall_hard: float
    recall_soft: float


def overlaps(images: Sequence[Compared], classes: Sequence[str], encode: Encode) -> Overlaps:
    """All figures of a set. ``encode``: texts → (n, d) unit vectors of the sentence model; called once per text."""
    near = _nearness([image.names for image in images], classes, encode)
    confusion = np.zeros((len(classes), len(classes)))
    number = {name: at for at, name in enumerate(classes)}
    soft, overlap, nearest, recall = (_Macro() for _ in range(4))
    for image, similar in zip(images, near, strict=True):
        table = image.pixels
        named = [number.get(name, 0) for name in image.names]
        np.add.at(confusion, named, table)
        shown = np.flatnonzero(table.sum(axis=0))
        by_overlap = table.argmax(axis=1)
        by_name = _without(similar, shown).argmax(axis=1)
        for at in shown[shown > 0]:
            size = table[:, at].sum()
            inside = similar[:, at] @ table[:, at]
            recall.add(at, inside / size)
            soft.add(at, inside / (similar[:, at] @ table.sum(axis=1) + size - inside))
            overlap.add(at, _jaccard(table, by_overlap == at, at))
            nearest.add(at, _jaccard(table, by_name == at, at))
    right, predicted, true = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    present = predicted + true > 0
    return Overlaps(
        jaccard_hard=_mean(right[present] / (predicted + true - right)[present]),
        jaccard_soft=soft.mean(),
        jaccard_overlap=overlap.mean(),
        jaccard_nearest=nearest.mean(),
        recall_hard=_mean(right[present] / np.maximum(true, 1)[present]),
        recall_soft=recall.mean(),
    )


class _Macro:
    """The mean over the classes of a class's mean over the images that show it."""

    def __init__(self) -> None:
        self._values: defaultdict[int, list[float]] = defaultdict(list)

    def add(self, at: int, value: float) -> None:
        self._values[at].append(value)

    def mean(self) -> float:
        return _mean([sum(values) / len(values) for values in self._values.values()])


def _jaccard(table: Matrix, chosen: NDArray[np.bool_], at: int) -> float:
    """The Jaccard index of the pixels of the chosen names and those of the class ``at``."""
    inside = table[chosen, at].sum()
    return float(inside / (table[chosen].sum() + table[:, at].sum() - inside))


def _nearness(names: Sequence[Sequence[str]], classes: Sequence[str], encode: Encode) -> Iterator[Matrix]:
    """Per image the cosine of each name to each class, at least 0."""
    texts = list(dict.fromkeys([*classes, *[name for some in names for name in some]]))
    rows: Mapping[str, Floats] = dict(zip(texts, encode(texts), strict=True)) if texts else {}
    for some in names:
        ours, theirs = (np.array([rows[text] for text in group], np.float64) for group in (some, classes))
        yield np.maximum(ours @ theirs.T, 0)


def _without(similar: Matrix, shown: Ints) -> Matrix:
    """Remove the similarities that the reference removes before it takes the nearest class.

    It takes the bitwise complement of the shown classes instead of, presumably, all other classes: ``~2`` is ``-3``,
    so a class counted from the end is removed. Kept for comparability with the paper's figures.
    """
    left = similar.copy()
    left[:, ~shown] = 0
    return left


def _mean(values: Sequence[float] | Matrix) -> float:
    return float(np.mean(values)) if len(values) else 0.0
