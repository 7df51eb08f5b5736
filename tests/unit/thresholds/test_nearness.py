"""The thresholds of nearness separate something from nothing in made spaces, and move with the space."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.encoders.protocols import Floats
from tasks.thresholds.derived import Threshold
from tasks.thresholds.nearness import nearness
from tests.unit.thresholds.made_spaces import (
    CLIP,
    SIGLIP,
    Geometry,
    MadeSpace,
    in_narrower_cone,
    pages,
    rotation,
)

LIMIT = 10
SPACES = [CLIP, SIGLIP]


def values(found: tuple[Threshold, Threshold]) -> tuple[float, float]:
    unknown, evidence = found
    assert unknown.value is not None, unknown.reason
    assert evidence.value is not None
    return unknown.value, evidence.value


def best(images: Floats, captions: Floats) -> Floats:
    found: Floats = (images @ captions.T).max(axis=1)
    return found


@pytest.mark.parametrize("geometry", SPACES)
@pytest.mark.parametrize("seed", range(3))
def test_something_is_above_and_nothing_below(geometry: Geometry, seed: int) -> None:
    space = MadeSpace(geometry, seed)
    unknown, evidence = values(nearness(space.nulls(), pages(space.captions), LIMIT))
    nothing = np.concatenate(list(space.nulls(100).values()))  # others than those it was derived from
    assert (best(nothing, space.captions) < unknown).mean() > 0.9
    assert (best(space.images_of_other_things(500), space.captions) < unknown).mean() > 0.85
    assert (best(space.images(), space.captions) >= unknown).mean() > 0.9
    right = space.images() @ space.captions.T
    own = right[np.arange(1000), np.arange(0, 2000, 2)]  # the first caption of each concept
    assert (own >= evidence).mean() > 0.85
    assert (right >= evidence).mean() < 0.005  # captions of anything
    assert evidence < unknown


def test_a_kind_that_captions_describe_does_not_raise_the_threshold() -> None:
    space = MadeSpace(CLIP)
    plain, _ = values(nearness(space.nulls(), pages(space.captions), LIMIT))
    described = np.concatenate([space.captions, space.captions_of("text page", 5)])
    found = nearness(space.nulls(), pages(described), LIMIT)
    assert found[0].numbers["text_page"] > plain + 0.05
    assert values(found)[0] == pytest.approx(plain, abs=0.01)


@pytest.mark.parametrize("geometry", SPACES)
def test_the_thresholds_turn_with_the_space_and_narrow_with_its_cones(geometry: Geometry) -> None:
    space = MadeSpace(geometry)
    nulls, captions = space.nulls(), space.captions
    plain = values(nearness(nulls, pages(captions), LIMIT))
    assert values(nearness(nulls, pages(captions), LIMIT)) == plain
    assert values(nearness(nulls, pages(captions, 300), LIMIT)) == pytest.approx(plain, abs=1e-4)
    turn = rotation(geometry.dimension)
    turned = nearness({kind: rows @ turn for kind, rows in nulls.items()}, pages(captions @ turn), LIMIT)
    assert values(turned) == pytest.approx(plain, abs=1e-3)
    share = 0.4
    narrower = nearness(
        {kind: in_narrower_cone(rows, share) for kind, rows in nulls.items()},
        pages(in_narrower_cone(captions, share)),
        LIMIT,
    )
    assert values(narrower) == pytest.approx([share + (1 - share) * value for value in plain], abs=1e-3)


def test_too_few_captions_or_images_turn_both_off_and_say_so() -> None:
    space = MadeSpace(CLIP, concepts=100)
    few = nearness(space.nulls(), pages(space.captions), LIMIT)
    assert [one.value for one in few] == [None, None]
    assert few[0].reason == "too few captions: 210, at least 256 are needed"
    assert few[1].reason
    assert nearness(space.nulls(), iter(()), LIMIT)[0].value is None
    none = nearness(space.nulls() | {"noise": np.empty((0, 512), np.float32)}, pages(space.captions), LIMIT)
    assert none[0].value is None
    assert "noise" in none[0].reason


def test_a_space_whose_images_of_nothing_are_nearest_has_no_thresholds() -> None:
    space = MadeSpace(CLIP)
    texts = dict.fromkeys(("noise", "blur", "page"), space.captions[:20])  # nothing is where captions are
    unknown, evidence = nearness(texts, pages(space.captions), LIMIT)
    assert (unknown.value, evidence.value) == (None, None)
    assert "does not tell something from nothing" in unknown.reason
    assert unknown.numbers["captions"] == 2010
