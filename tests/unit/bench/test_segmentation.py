"""What the benchmark of segmentation says of two label maps, and of a picture that was segmented in every way."""

from __future__ import annotations

import numpy as np
import pytest

from ops.bench.segmentation import measured
from ops.bench.segmenting import STAGES, agreement
from tasks.segmentation.results import LabelMap, RunLengths, Segment, Segmented
from tests.unit.segmentation.world import halves, pipeline


def segmented(labels: LabelMap, *names: str) -> Segmented:
    parts = tuple(
        Segment(label=name, score=1.0, box=(0, 0, 1, 1), area=0.5, mask=RunLengths.of(labels == at))
        for at, name in enumerate(names, 1)
    )
    return Segmented(
        way="dense", width=labels.shape[1], height=labels.shape[0], shape=labels.shape, labels=("unknown", *names),
        segments=parts, encoded=1, looked_up=1,
    )  # fmt: skip


def test_the_same_label_counts_literally_and_a_mere_renaming_is_told_apart() -> None:
    labels = np.array([[0, 1, 1, 2]], np.uint8)
    one = segmented(labels, "cat", "bridge")
    assert agreement(one, one) == (1.0, 1.0)
    assert agreement(one, segmented(labels, "kitty", "bridge")) == (0.5, 1.0)
    assert agreement(one, segmented(np.array([[0, 2, 2, 1]], np.uint8), "bridge", "cat")) == (1.0, 1.0)


def test_costs_are_those_of_every_way_and_shares_make_a_whole() -> None:
    found = measured([("halves", halves())], pipeline(), 1, areas=False)
    assert set(found["crops"]) == {"dense", "dense, refine", "regions, superpixels"}
    assert found["crops"]["dense"] == 283
    assert set(found["shares"]["cold"]) == set(STAGES)
    assert sum(found["shares"]["cold"].values()) == pytest.approx(1)
    areas = measured([("halves", halves())], pipeline(), 1, areas=True)["areas"]
    assert areas["of_all"]["coarse"] <= areas["of_all"]["full"] == 1
    assert areas["same"] > 0.9
