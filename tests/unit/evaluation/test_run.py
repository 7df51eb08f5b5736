"""Shows that every method sees every good picture once, that times are separate, and what counts as wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from tasks.evaluation.answers import Answer, Pictures
from tasks.evaluation.manifest import BadManifest, Item
from tasks.evaluation.results import Judge
from tasks.evaluation.run import Evaluation, Source, evaluate
from tasks.images import read_formats
from tasks.message_parts import Floats, Revision, Tag
from tasks.metrics import cluster_accuracy, semantic_iou, semantic_similarity
from tasks.pipeline import PipelineOptions
from tests.unit.stages.made_up import SPACE, MadeUpImages, picture, vector_of
from vectordb.errors import Permanent

FILES = {"1": picture((255, 0, 0)), "2": picture((0, 255, 0)), "bad": b"text", "3": picture((0, 0, 255))}


@dataclass
class Fixed:
    """A method that gives the labels it was made with; ``None`` for unknown."""

    name: str
    labels: list[str | None]
    seen: int = 0
    sizes: list[tuple[int, int]] = field(default_factory=list)

    def prepare(self) -> None:
        assert self.seen == 0

    def answer(self, batch: Pictures) -> list[Answer]:
        size = len(batch.embedded.objects)
        self.sizes += [image.size for image in batch.decode()]
        part = self.labels[self.seen : self.seen + size]
        self.seen += size
        return [Answer((Tag(one, 1.0, 1.0, 0.0),) if one else (), candidates=7) for one in part]


def encode(texts: Sequence[str]) -> Floats:
    return np.stack([vector_of(text) for text in texts])


def read(path: Path) -> bytes:
    if path.name not in FILES:
        raise Permanent("gone")
    return FILES[path.name]


def items(*names: str) -> list[Item]:
    return [Item(Path(name), f"label {name}", f"line {at}") for at, name in enumerate(names, 2)]


def run(methods: Sequence[Fixed], names: Sequence[str], progress: list[tuple[int, int]] | None = None) -> Evaluation:
    ticks = count()
    source = Source(read, MadeUpImages(), Revision(SPACE.id, "1"), PipelineOptions(), batch=2)
    return evaluate(
        items(*names), source, methods, Judge(encode), clock=lambda: float(next(ticks)),
        on_progress=None if progress is None else lambda done, total: progress.append((done, total)),
    )  # fmt: skip


def test_pictures_are_embedded_once_and_bad_ones_skipped() -> None:
    progress: list[tuple[int, int]] = []
    methods = [Fixed("one", ["label 1", "x", "y"]), Fixed("two", ["a", "b", "c"])]
    found = run(methods, ["1", "bad", "2", "gone", "3"], progress)
    assert [one.item.path.name for one in found.pictures] == ["1", "2", "3"]
    assert [one.answers[1].label for one in found.pictures] == ["a", "b", "c"]
    assert [str(one) for one in found.skipped] == [
        f"line 3: bad: not an image in a supported format ({read_formats()})",
        "line 5: gone: gone",
    ]
    assert methods[0].sizes == [(4, 4)] * 3
    assert progress == [(2, 5), (4, 5), (5, 5)]


def test_figures_are_those_of_the_metrics() -> None:
    labels, targets = ["label 1", "x", "x"], ["label 1", "label 2", "label 3"]
    (result,) = run([Fixed("one", [*labels])], ["1", "2", "3"]).results
    assert result.cluster_accuracy == pytest.approx(cluster_accuracy(labels, targets), abs=1e-6)
    assert result.semantic_iou == pytest.approx(semantic_iou(labels, targets), abs=1e-6)
    assert result.semantic_similarity == pytest.approx(semantic_similarity(labels, targets, encode), abs=1e-6)
    assert (result.images, result.unique_labels, result.mean_candidates, result.unknown) == (3, 2, 7, 0)


def test_each_picture_has_its_own_similarity() -> None:
    found = run([Fixed("one", ["label 1", "x", None])], ["1", "2", "3"])
    each = [one.similarities[0] for one in found.pictures]
    assert each == pytest.approx([1, float(vector_of("x") @ vector_of("label 2")), 0], abs=1e-6)
    assert found.results[0].semantic_similarity == pytest.approx(sum(each) / 3, abs=1e-6)


def test_unknown_is_wrong_in_every_metric() -> None:
    known, unknown = run([Fixed("one", ["label 1", None, None]), Fixed("no", [None] * 3)], ["1", "2", "3"]).results
    figures = (known.cluster_accuracy, known.semantic_iou, known.semantic_similarity)
    assert figures == pytest.approx((1 / 3, 1 / 3, 1 / 3), abs=1e-6)
    assert (known.unknown, known.unique_labels) == (2, 1)
    assert (unknown.cluster_accuracy, unknown.semantic_iou, unknown.semantic_similarity) == (0, 0, 0)


def test_seconds_hold_the_embedding_and_leave_the_setup_out() -> None:
    # every measured stretch is one tick long: two batches of two and one picture
    for result in run([Fixed("one", ["a"] * 3), Fixed("two", ["b"] * 3)], ["1", "2", "3"]).results:
        assert result.embedding_seconds_per_image == pytest.approx(2 / 3, abs=1e-6)
        assert result.own_seconds_per_image == pytest.approx(2 / 3, abs=1e-6)
        assert result.seconds_per_image == pytest.approx(4 / 3, abs=1e-6)
        assert result.setup_seconds == 1


def test_a_set_of_which_nothing_can_be_read_says_why() -> None:
    with pytest.raises(BadManifest, match=r"none of 2 images can be read: line 2: bad: not an image.*line 3: gone"):
        run([Fixed("one", [])], ["bad", "gone"])
