"""Shows how near is near enough: in several spaces, in tiny archives, and among series of photographs."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.exemplars.nearness import COPIES_ONLY, LEAST, SHARE, calibrate
from tasks.message_parts import Floats
from tests.unit.exemplars.made_archives import SPACES, Geometry, MadeArchive
from tests.unit.thresholds.made_spaces import in_narrower_cone

EVERY_SPACE = pytest.mark.parametrize("space", list(SPACES))


def within(sample: Floats, exemplar: Floats, images: Floats) -> float:
    """The share of images that look like the exemplar."""
    return float((1.0 - images @ exemplar <= calibrate(sample).radius(exemplar)).mean())


@pytest.mark.long
@EVERY_SPACE
@pytest.mark.parametrize("size", [5, 30, 500])
def test_views_look_like_their_image_and_others_do_not(space: str, size: int) -> None:
    archive = MadeArchive(SPACES[space])
    exemplars, sample, others = archive.images(30), archive.images(size), archive.images(1000)
    views = [within(sample, one, archive.views(one, 20)) for one in exemplars]
    strangers = [within(sample, one, others) for one in exemplars]
    assert np.mean(views) >= 0.97
    assert np.mean(strangers) <= 0.01


@EVERY_SPACE
def test_series_of_nearly_equal_photographs_do_not_hide_their_own(space: str) -> None:
    archive = MadeArchive(SPACES[space])
    series = np.concatenate([archive.views(one, 15, changed=0.02) for one in archive.images(40)])
    exemplar = series[7]
    assert within(series, exemplar, series[:15]) == 1.0
    assert within(series, exemplar, series[15:]) <= 0.01


def test_a_cone_changes_nothing() -> None:
    archive = MadeArchive(SPACES["no cone"])
    sample, exemplar = archive.images(200), archive.images(1)
    for share in (0.3, 0.6, 0.95):
        narrow = calibrate(in_narrower_cone(sample, share)).radius(in_narrower_cone(exemplar, share)[0])
        assert narrow == pytest.approx((1 - share) * calibrate(sample).radius(exemplar[0]), rel=1e-3)


@pytest.mark.long
def test_the_reach_limits_spaces_in_which_distances_say_little() -> None:
    archive = MadeArchive(Geometry(0.9, dimension=4))
    sample, exemplars = archive.images(400), archive.images(50)
    calibration = calibrate(sample)
    assert calibration.reach is not None
    assert all(calibration.radius(one) == calibration.reach for one in exemplars)
    assert np.mean([within(sample, one, archive.images(500)) for one in exemplars]) <= 0.03


def test_the_reach_is_what_one_image_in_a_hundred_is_within_although_it_is_extrapolated() -> None:
    archive = MadeArchive(Geometry(0.0, dimension=8))
    reach = calibrate(archive.images(500)).reach
    fresh = archive.images(600)
    distances = (1.0 - fresh @ fresh.T)[np.triu_indices(600, 1)]
    assert reach is not None
    assert 0.005 <= (distances <= reach).mean() <= 0.02


@EVERY_SPACE
def test_an_archive_that_is_mostly_of_one_thing_still_knows_what_is_far(space: str) -> None:
    archive = MadeArchive(SPACES[space])
    exemplar = archive.images(1)[0]
    sample = np.concatenate([archive.views(exemplar, 20), archive.images(10)])
    assert within(sample, exemplar, archive.views(exemplar, 50)) >= 0.97
    assert within(sample, exemplar, archive.images(500)) <= 0.01


def test_where_the_space_is_known_an_archive_of_nothing_else_does_too() -> None:
    archive = MadeArchive(SPACES["CLIP"])
    exemplar = archive.images(1)[0]
    only = archive.views(exemplar, 5)
    assert calibrate(only).radius(exemplar) < float((1 - only @ exemplar).min())
    known = calibrate(only, expected=0.55)
    assert known.reach is None
    assert known.radius(exemplar) > float((1 - archive.views(exemplar, 50) @ exemplar).max())


@pytest.mark.parametrize("size", range(LEAST))
def test_in_an_archive_of_almost_nothing_only_copies_look_alike(size: int) -> None:
    archive = MadeArchive(SPACES["CLIP"])
    calibration = calibrate(archive.images(size))
    assert calibration.reach is None
    assert calibration.radius(archive.images(1)[0]) == COPIES_ONLY


def test_there_the_expected_distance_of_the_space_helps_if_it_is_known() -> None:
    archive = MadeArchive(SPACES["CLIP"])
    for size in range(LEAST):
        calibration = calibrate(archive.images(size), expected=0.55)
        assert calibration.radius(archive.images(1)[0]) == pytest.approx(SHARE * 0.55, rel=0.05)


def test_copies_of_one_file_count_as_one() -> None:
    archive = MadeArchive(SPACES["CLIP"])
    exemplar, others = archive.images(1), archive.images(30)
    alone = calibrate(others).radius(exemplar[0])
    assert calibrate(np.concatenate([others, exemplar.repeat(40, axis=0)])).usual(exemplar[0]) == calibrate(
        others
    ).usual(exemplar[0])
    assert calibrate(exemplar.repeat(50, axis=0)).radius(exemplar[0]) == COPIES_ONLY < alone


def test_the_order_of_the_sample_makes_no_difference() -> None:
    archive = MadeArchive(SPACES["no cone"])
    sample, exemplar = archive.images(100), archive.images(1)[0]
    shuffled = np.random.default_rng(1).permutation(sample)
    assert calibrate(shuffled).radius(exemplar) == pytest.approx(calibrate(sample).radius(exemplar), rel=1e-5)


def test_images_with_equal_distances_have_a_reach() -> None:
    calibration = calibrate(np.eye(6, dtype=np.float32))
    assert calibration.reach == pytest.approx(1.0)
    assert calibration.median == pytest.approx(1.0)
