"""Shows which labels images gain from exemplars and which are withheld from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.exemplars.judging import NOTHING, Examples, Exemplar, confidence
from tasks.exemplars.nearness import Calibration, calibrate
from tasks.message_parts import Floats, Judgement
from tasks.vector_maths import unit
from tests.unit.exemplars.made_archives import SPACES, MadeArchive
from tests.unit.thresholds.made_spaces import CLIP, SIGLIP, MadeSpace
from tests.unit.thresholds.made_spaces import Geometry as Gap

ARCHIVE = MadeArchive(SPACES["CLIP"])
CALIBRATION = calibrate(ARCHIVE.images(200))
CHELSEA, COFFEE, ROCKET = ARCHIVE.images(3)
VIEWS = ARCHIVE.views(CHELSEA, 10)


def yes(object_id: str, label: str, vector: Floats) -> Exemplar:
    return Exemplar(object_id, label, True, vector)


def no(object_id: str, label: str, vector: Floats) -> Exemplar:
    return Exemplar(object_id, label, False, vector)


def judged(vector: Floats, *exemplars: Exemplar, calibration: Calibration = CALIBRATION) -> Judgement:
    (found,) = Examples(exemplars, calibration).judge(vector[None])
    return found


def labels(found: Judgement) -> list[str]:
    return [one.label for one in found.gained]


def at_distance(vector: Floats, distance: float) -> Floats:
    """A vector at this distance from a unit vector."""
    other = ROCKET - (ROCKET @ vector) * vector
    cosine = 1 - distance
    moved: Floats = (cosine * vector + np.sqrt(1 - cosine**2) * unit(other)).astype(np.float32)
    return moved


def test_one_exemplar_names_the_images_that_look_like_it() -> None:
    examples = Examples([yes("photos/7.jpg", "Chelsea", CHELSEA)], CALIBRATION)
    for vector, found in zip(VIEWS, examples.judge(VIEWS), strict=True):
        (gained,) = found.gained
        assert (gained.label, gained.object_id, found.withheld) == ("Chelsea", "photos/7.jpg", ())
        assert gained.similarity == pytest.approx(float(vector @ CHELSEA), abs=1e-5)
    assert examples.judge(np.stack([COFFEE, ROCKET])) == [NOTHING, NOTHING]


def test_without_exemplars_nothing_happens() -> None:
    assert Examples([], CALIBRATION).judge(VIEWS) == [NOTHING] * len(VIEWS)
    assert Examples([yes("a", "Chelsea", CHELSEA)], CALIBRATION).judge(VIEWS[:0]) == []


@pytest.mark.parametrize("size", [0, 1, 3])
def test_in_a_tiny_archive_a_copy_is_named_all_the_same(size: int) -> None:
    calibration = calibrate(ARCHIVE.images(size))
    assert labels(judged(CHELSEA, yes("a", "Chelsea", CHELSEA), calibration=calibration)) == ["Chelsea"]
    assert judged(COFFEE, yes("a", "Chelsea", CHELSEA), calibration=calibration) == NOTHING


def test_the_nearest_of_several_exemplars_is_the_evidence_and_labels_are_sorted_by_confidence() -> None:
    near, far = at_distance(CHELSEA, 0.02), at_distance(CHELSEA, 0.09)
    found = judged(CHELSEA, yes("far", "cat", far), yes("near", "cat", near), yes("middle", "animal", VIEWS[0]))
    assert [(one.label, one.object_id) for one in found.gained] == [("cat", "near"), ("animal", "middle")]
    assert found.gained[0].confidence > found.gained[1].confidence


def test_a_rejected_label_is_withheld_from_what_looks_like_the_rejection_in_any_spelling() -> None:
    found = judged(VIEWS[0], no("a", "Tabby Cats", CHELSEA))
    assert [one.object_id for one in found.withheld] == ["a"]
    assert found.withholds("tabby cat")
    assert found.withholds("tabby-cat")
    assert not found.withholds("cat")
    assert found.gained == ()
    assert not judged(COFFEE, no("a", "tabby cat", CHELSEA)).withholds("tabby cat")


def test_what_is_nearer_decides_between_accepted_and_rejected() -> None:
    near, far = at_distance(CHELSEA, 0.02), at_distance(CHELSEA, 0.09)
    assert labels(judged(CHELSEA, yes("a", "cat", near), no("b", "cats", far))) == ["cat"]
    found = judged(CHELSEA, no("a", "cat", near), yes("b", "cats", far))
    assert found.gained == ()
    assert found.withholds("cat")


def test_equally_near_ones_withhold_the_label() -> None:
    for exemplars in (
        (yes("a", "cat", CHELSEA), no("b", "cat", CHELSEA)),
        (no("a", "cat", CHELSEA), yes("b", "cat", CHELSEA)),
    ):
        found = judged(VIEWS[0], *exemplars)
        assert (found.gained, found.withholds("cat")) == ((), True)


def test_a_rejection_of_one_label_leaves_others_alone() -> None:
    found = judged(VIEWS[0], yes("a", "Chelsea", CHELSEA), no("a", "dog", CHELSEA))
    assert (labels(found), found.withholds("dog"), found.withholds("Chelsea")) == (["Chelsea"], True, False)


def test_images_that_show_nothing_gain_no_label_even_if_they_are_copies() -> None:
    exemplars = [yes("a", "black", CHELSEA), no("a", "night", CHELSEA)]
    found = Examples(exemplars, CALIBRATION).judge(np.stack([CHELSEA, CHELSEA]), featureless=[True, False])
    assert found[0] == NOTHING
    assert labels(found[1]) == ["black"]


def test_an_image_without_direction_looks_like_nothing() -> None:
    nowhere = np.zeros_like(CHELSEA)
    assert judged(nowhere, yes("a", "Chelsea", CHELSEA)) == NOTHING
    assert judged(CHELSEA, yes("a", "nothing", nowhere)) == NOTHING


def test_what_was_said_of_an_image_itself_is_not_evidence_for_it() -> None:
    examples = Examples([yes("photos/7.jpg", "Chelsea", CHELSEA)], CALIBRATION)
    found = examples.judge(np.stack([CHELSEA, CHELSEA]), object_ids=["photos/7.jpg", "photos/copy.jpg"])
    assert (found[0], labels(found[1])) == (NOTHING, ["Chelsea"])


def test_exemplars_that_say_the_same_again_change_nothing() -> None:
    once = [yes("a", "Chelsea", CHELSEA), no("a", "dog", CHELSEA)]
    again = [*once, *once, yes("a", "chelsea", CHELSEA), yes("b", "Chelsea", CHELSEA)]
    assert Examples(again, CALIBRATION).judge(VIEWS) == Examples(once, CALIBRATION).judge(VIEWS)


SAID = [
    yes("a", "Chelsea", CHELSEA), no("a", "dog", CHELSEA), yes("b", "chelsea", VIEWS[1]), yes("f", "dog", VIEWS[4]),
    no("c", "Chelsea", VIEWS[2]), yes("d", "cat", VIEWS[3]), no("e", "cats", COFFEE), yes("g", "rocket", ROCKET),
]  # fmt: skip


@given(st.permutations(SAID))
def test_the_order_of_the_exemplars_makes_no_difference(shuffled: list[Exemplar]) -> None:
    assert Examples(shuffled, CALIBRATION).judge(VIEWS) == Examples(SAID, CALIBRATION).judge(VIEWS)


def test_an_image_is_judged_alone_as_in_any_company() -> None:
    examples = Examples(SAID, CALIBRATION)
    together = examples.judge(np.concatenate([VIEWS, ARCHIVE.images(20)]))
    assert together[: len(VIEWS)] == [examples.judge(view[None])[0] for view in VIEWS]


def test_confidence_falls_with_the_distance_and_less_sure_likenesses_can_be_left_out() -> None:
    steps = [confidence(relative) for relative in np.linspace(0, 1, 11)]
    assert steps == sorted(steps, reverse=True)
    assert (round(steps[0], 2), round(steps[-1], 2)) == (1.0, 0.03)
    examples = Examples([yes("a", "Chelsea", CHELSEA), no("a", "dog", CHELSEA)], CALIBRATION)
    edge = at_distance(CHELSEA, 0.98 * float(examples.radii[0]))[None]
    assert [(labels(one), one.withholds("dog")) for one in examples.judge(edge)] == [(["Chelsea"], True)]
    assert examples.judge(edge, min_confidence=0.4) == [NOTHING]
    assert examples.judge(CHELSEA[None], min_confidence=0.4) == examples.judge(CHELSEA[None])


def test_the_least_similarities_are_limits_for_a_search() -> None:
    examples = Examples(SAID, CALIBRATION)
    assert len(examples.least_similarities) == len(examples.exemplars) == len(SAID)
    first = [one.object_id for one in examples.exemplars].index("g")
    least = examples.least_similarities[first]
    inside, outside = at_distance_of(ROCKET, 1 - least - 1e-3), at_distance_of(ROCKET, 1 - least + 1e-3)
    assert [labels(one) for one in examples.judge(np.stack([inside, outside]))] == [["rocket"], []]


def at_distance_of(vector: Floats, distance: float) -> Floats:
    other = COFFEE - (COFFEE @ vector) * vector
    moved: Floats = ((1 - distance) * vector + np.sqrt(1 - (1 - distance) ** 2) * unit(other)).astype(np.float32)
    return moved


@pytest.mark.parametrize("gap", [CLIP, SIGLIP], ids=["CLIP", "SigLIP"])
def test_texts_lie_apart_and_are_never_mistaken_for_images(gap: Gap) -> None:
    space = MadeSpace(gap, concepts=200)
    images = space.images()
    examples = Examples([yes("a", "a thing", images[0])], calibrate(images[1:]))
    assert examples.judge(space.captions) == [NOTHING] * len(space.captions)
    assert examples.judge(images[1:]) == [NOTHING] * (len(images) - 1)
