"""What the benchmark of segmentation says of two label maps, and of a picture that was segmented in every method."""

from __future__ import annotations

import numpy as np
import pytest

from ops.bench.pictures import PHOTOGRAPHS, photographs
from ops.bench.segmentation import measured
from ops.bench.segmenting import STAGES, Blind, Compared, agreement, comparison, watched
from tasks.segmentation.dense import Dense
from tasks.segmentation.results import LabelMap, RunLengths, Segment, Segmented
from tasks.segmentation.run import segment
from tests.unit.segmentation.world import SPACE, halves, pipeline


def segmented(labels: LabelMap, *names: str) -> Segmented:
    parts = tuple(
        Segment(label=name, score=1.0, box=(0, 0, 1, 1), area=0.5, mask=RunLengths.of(labels == at))
        for at, name in enumerate(names, 1)
    )
    return Segmented(
        method="dense", width=labels.shape[1], height=labels.shape[0], shape=labels.shape, labels=("unknown", *names),
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


def test_watching_a_way_changes_nothing_of_what_it_finds() -> None:
    spent, result = watched(halves(), Dense(), pipeline())
    assert result == segment(halves(), Dense(), pipeline())
    assert all(spent[stage] > 0 for stage in ("encode", "retrieve", "extract", "score", "draw"))


def test_an_encoder_that_sees_nothing_keeps_what_it_was_shown() -> None:
    blind = Blind(SPACE, 8)
    shown = [halves(side=8), halves(side=16)]
    assert not blind.encode(shown).any()
    assert blind.shown == shown


def test_crops_are_compared_in_the_sum_and_areas_in_the_mean_over_the_pictures() -> None:
    summary = comparison([Compared((283, 142), 1.0, 1.0), Compared((100, 100), 0.5, 0.75)])
    assert summary["of_full"] == pytest.approx(242 / 383)
    assert summary["of_all"] == pytest.approx({"full": 383 / 566, "coarse": 242 / 566})
    assert (summary["same"], summary["but_for_names"]) == (0.75, 0.875)


def test_there_are_photographs_to_measure_with() -> None:
    assert [name for name, _ in photographs(2)] == list(PHOTOGRAPHS[:2])
