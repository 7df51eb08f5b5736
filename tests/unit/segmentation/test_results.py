"""Shows that masks survive being packed, and that a label map is the sum of the segments."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tasks.segmentation.results import LabelMap, Mask, RunLengths, Segment, Segmented

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9))


@given(MASKS)
def test_run_lengths_come_back_as_the_mask(mask: Mask) -> None:
    packed = RunLengths.of(mask)
    assert packed.size == mask.shape
    assert np.array_equal(packed.mask(), mask)


def test_run_lengths_are_those_of_coco() -> None:
    """Down the columns: four pixels out, three in, two out; a character for each, as its description has it."""
    mask = np.array([[0, 0, 1], [0, 1, 0], [0, 1, 0]], bool)
    assert RunLengths.of(mask).counts == "432"


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 3)))
def test_a_label_map_is_the_sum_of_its_segments_and_survives_a_message(labels: LabelMap) -> None:
    names = ("unknown", "cat", "dog", "mat")
    segments = tuple(
        Segment(label=names[at], score=1.0, box=(0, 0, 1, 1), area=0.5, mask=RunLengths.of(labels == at))
        for at in (1, 2, 3)
    )
    made = Segmented(
        method="dense", width=labels.shape[1], height=labels.shape[0], shape=labels.shape, labels=names,
        segments=segments, encoded=1, looked_up=1,
    )  # fmt: skip
    assert np.array_equal(made.label_map(), labels)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=Segmented) == made
    assert msgspec.json.decode(msgspec.json.encode(made), type=Segmented) == made


@pytest.mark.parametrize(("count", "kind"), [(256, np.uint8), (257, np.uint16)])
def test_a_label_map_is_as_wide_as_its_labels_need(count: int, kind: type) -> None:
    labels = tuple(str(number) for number in range(count))
    last = Segment(label=labels[-1], score=1.0, box=(0, 0, 2, 1), area=1.0, mask=RunLengths.of(np.ones((1, 2), bool)))
    made = Segmented(
        method="dense", width=2, height=1, shape=(1, 2), labels=labels, segments=(last,), encoded=0, looked_up=0
    )
    assert made.label_map().dtype == kind
    assert made.label_map().tolist() == [[count - 1, count - 1]]
