"""Shows that the benchmark of segmentation times what it says, and compares label maps by their names."""

from __future__ import annotations

import numpy as np
import pytest

from ops.bench.pictures import PHOTOGRAPHS, photographs
from ops.bench.segmentation import main
from ops.bench.segmenting import STAGES, Blind, Compared, agreement, compared, comparison, summary, taken, watched
from tasks.segmentation.dense import Dense
from tasks.segmentation.regions import Regions
from tasks.segmentation.results import LabelMap, RunLengths, Segment, Segmented
from tasks.segmentation.run import Way, segment
from tasks.segmenters.cells import Cells
from tests.unit.segmentation.world import SPACE, halves, pipeline

WAYS: dict[str, Way] = {"dense": Dense(), "dense, refine": Dense(refine=True), "cells": Regions(Cells((2,)))}


def made(labels: tuple[str, ...], numbers: list[list[int]]) -> Segmented:
    """A segmentation with this label map."""
    pixels: LabelMap = np.array(numbers, np.uint8)
    segments = tuple(
        Segment(label=label, score=1, box=(0, 0, 1, 1), area=0.5, mask=RunLengths.of(pixels == number))
        for number, label in enumerate(labels)
        if number and (pixels == number).any()
    )
    height, width = pixels.shape
    return Segmented(
        way="dense", width=width, height=height, shape=(height, width), labels=labels, segments=segments, encoded=0,
        looked_up=0,
    )  # fmt: skip


def test_areas_agree_where_labels_have_the_same_name_whatever_their_numbers() -> None:
    one = made(("unknown", "cat", "bridge"), [[0, 1, 1, 2]])
    assert agreement(one, made(("unknown", "bridge", "cat"), [[0, 2, 2, 1]])) == (1.0, 1.0)
    assert agreement(one, made(("unknown", "bridge", "kitty"), [[0, 2, 2, 1]])) == (0.5, 1.0)
    assert agreement(one, made(("unknown", "cat"), [[0, 0, 1, 1]])) == (0.5, 0.5)


def test_the_same_picture_is_timed_in_all_ways_and_its_crops_are_those_of_the_way() -> None:
    one = pipeline()
    found = taken(halves(), WAYS, one, 2)
    assert found.crops == {name: segment(halves(), way, pipeline()).encoded for name, way in WAYS.items()}
    assert set(found.seconds) == {"alone", "cold", "warm", "dense, refine", "cells"}
    assert {len(seconds) for seconds in found.seconds.values()} == {2}
    for shares in (*found.shares["cold"], *found.shares["warm"]):
        assert tuple(shares) == STAGES
        assert sum(shares.values()) == pytest.approx(1)
    told = summary([found, found])
    assert told["crops"] == found.crops
    assert told["ratio"]["cold"] > 0
    assert told["ms"]["alone"] > 0


def test_watching_a_way_changes_nothing_of_what_it_finds() -> None:
    spent, result = watched(halves(), Dense(), pipeline())
    assert result == segment(halves(), Dense(), pipeline())
    assert all(spent[stage] > 0 for stage in ("encode", "retrieve", "extract", "score", "draw"))


def test_an_encoder_that_sees_nothing_keeps_what_it_was_shown() -> None:
    blind = Blind(SPACE, 8)
    shown = [halves(side=8), halves(side=16)]
    assert not blind.encode(shown).any()
    assert blind.shown == shown


def test_a_coarse_pass_is_compared_with_all_crops() -> None:
    found = compared(halves(), (WAYS["dense"], WAYS["dense, refine"]), pipeline())
    assert found.crops[1] < found.crops[0]
    assert found.same > 0.95
    told = comparison([found, Compared((283, 100), 0.5, 0.75)])
    assert told["same"] == pytest.approx((found.same + 0.5) / 2)
    assert told["of_full"] == pytest.approx((found.crops[1] + 100) / (found.crops[0] + 283))


def test_there_are_photographs_to_measure_with() -> None:
    pytest.importorskip("skimage")
    assert [name for name, _ in photographs(2)] == list(PHOTOGRAPHS[:2])


def test_it_says_what_it_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "--areas" in capsys.readouterr().out
