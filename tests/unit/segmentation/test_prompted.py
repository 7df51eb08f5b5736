"""Shows that prompted draws what the whole image is called, and leaves the rest unknown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tasks.segmentation.prompted import Prompted
from tasks.segmentation.run import segment
from tests.unit.segmentation.test_dense import images, where
from tests.unit.segmentation.world import CHOICES, GREY, RED, Drawn, halves, noisy, pipeline


def test_the_images_tags_are_drawn_and_the_surest_wins() -> None:
    segmenter = Drawn({"cat": [[0.9, 0.6, 0.1]], "bridge": [[0.2, 0.7, 0.3]]})
    one = pipeline(pipeline_options=replace(CHOICES, limit=7))
    made = segment(halves().resize((120, 40)), Prompted(segmenter), one)
    assert set(segmenter.asked) >= {"cat", "bridge"}
    assert where(made, "cat")[:, :40].all()
    assert where(made, "bridge")[:, 60].all()
    assert where(made, "unknown")[:, 100:].all()
    assert made.encoded == images(one).seen == 1
    assert all(part.label in part.evidence[0].caption for part in made.segments)


def test_what_the_drawer_is_less_sure_of_than_wanted_is_unknown() -> None:
    segmenter = Drawn({"cat": [[0.6]]})
    assert segment(noisy(RED, 20, 20), Prompted(segmenter, least=0.7), pipeline()).segments == ()
    assert segment(noisy(RED, 20, 20), Prompted(segmenter, least=0.5), pipeline()).segments[0].score == np.float32(
        0.6
    )


def test_nothing_is_drawn_of_an_image_without_tags() -> None:
    segmenter = Drawn({})
    made = segment(noisy(GREY, 20, 20), Prompted(segmenter), pipeline())
    assert (made.labels, made.segments, segmenter.asked) == (("unknown",), (), [])


def test_the_drawer_gets_no_more_pixels_than_it_can_use() -> None:
    segmenter = Drawn({})
    segment(noisy(RED, 3000, 300), Prompted(segmenter), pipeline())
    assert segmenter.sizes == [(1024, 102)]
