"""How well segmentations without a vocabulary match label maps (arXiv 2404.10864, vocabulary-free segmentation).

The names of a segmentation need not be the classes' names, so there are several ways to compare them: by the same
name (``hard``), by how near names are to the class (``soft``), and by giving each name the class that it lies on most
(``overlap``) or whose name is nearest (``nearest``). Class 0 is the background: a target that is not asked for.
All figures are macro averages, and equal to the reference implementation's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from tasks.messages import Floats

Ints = NDArray[np.integer]
Encode = Callable[[Sequence[str]], Floats]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Compared:
    """A segmentation beside the truth, both (h, w): ``label_map`` into ``names``, ``target`` into the classes."""

    names: Sequence[str]
    label_map: Ints
    target: Ints

    def __post_init__(self) -> None:
        if self.label_map.shape != self.target.shape or not self.names:
            raise ValueError(
                f"{len(self.names)} names, a label map of {self.label_map.shape}, a target of {self.target.shape}"
            )


class Overlaps(msgspec.Struct, frozen=True, kw_only=True):
    """Each between 0 and 1; of no images all are 0."""

    jaccard_hard: float
    jaccard_soft: float
    jaccard_overlap: float
    jaccard_nearest: float
    recall_hard: float
    recall_soft: float


def overlaps(images: Sequence[Compared], classes: Sequence[str], encode: Encode) -> Overlaps:
    """All figures of a set. ``encode``: texts → (n, d) unit vectors of the sentence model; each text once."""
    tables = [_table(image, len(classes)) for image in images]
    near = _nearness([image.names for image in images], classes, encode)
    confusion = np.zeros((len(classes), len(classes)))
    number = {name: at for at, name in enumerate(classes)}
    soft, overlap, nearest, recall = (_Macro() for _ in range(4))
    for image, table, similar in zip(images, tables, near, strict=True):
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
    right, said, true = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    present = said + true > 0
    return Overlaps(
        jaccard_hard=_mean(right[present] / (said + true - right)[present]),
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


def _table(image: Compared, classes: int) -> Matrix:
    """How many pixels have each name (row) and each class (column)."""
    names = len(image.names)
    both = image.label_map.astype(np.int64).ravel() * classes + image.target.astype(np.int64).ravel()
    return np.bincount(both, minlength=names * classes).reshape(names, classes).astype(np.float64)


def _jaccard(table: Matrix, chosen: NDArray[np.bool_], at: int) -> float:
    """Of the pixels of the chosen names with those of the class ``at``."""
    inside = table[chosen, at].sum()
    return float(inside / (table[chosen].sum() + table[:, at].sum() - inside))


def _nearness(names: Sequence[Sequence[str]], classes: Sequence[str], encode: Encode) -> Iterator[Matrix]:
    """Per image the cosine of each name to each class, nothing below 0."""
    texts = list(dict.fromkeys([*classes, *[name for some in names for name in some]]))
    rows: Mapping[str, Floats] = dict(zip(texts, encode(texts), strict=True)) if texts else {}
    for some in names:
        ours, theirs = (np.array([rows[text] for text in group], np.float64) for group in (some, classes))
        yield np.maximum(ours @ theirs.T, 0)


def _without(similar: Matrix, shown: Ints) -> Matrix:
    """What the reference leaves of the similarities before it takes the nearest class.

    It takes the bits' complement of the classes shown, where it may have meant all the others: ``~2`` is ``-3``, so
    that a class counted from the end goes. Kept, so that figures can be compared with the paper's.
    """
    left = similar.copy()
    left[:, ~shown] = 0
    return left


def _mean(values: Sequence[float] | Matrix) -> float:
    return float(np.mean(values)) if len(values) else 0.0
