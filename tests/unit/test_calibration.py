"""Shows that a fit finds what made the data, and that the measures are those of a plain computation."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.calibration import (
    Observations,
    TooFewImages,
    calibration_error,
    cross_validated,
    fit,
    interval,
    joined,
    reliability,
)

TRUE = np.array([1.0, -0.5, 0.0, 2.0, 0.3])


def made(images: int = 300, each: int = 10, seed: int = 0) -> Observations:
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(images * each, 5))
    right = draw.uniform(size=len(rows)) < 1 / (1 + np.exp(-(rows @ TRUE - 1)))
    return Observations(rows, right, np.repeat(np.arange(images), each), np.ones(len(rows)))


def test_the_weights_that_made_the_data_are_found() -> None:
    found = fit(made(), ridge=0.01)
    assert found.weights / found.scales == pytest.approx(TRUE, abs=0.2)


def test_a_larger_penalty_gives_smaller_weights() -> None:
    assert np.abs(fit(made(), ridge=1000).weights).sum() < np.abs(fit(made(), ridge=1).weights).sum()


def test_confidences_on_other_images_are_calibrated_and_an_offset_is_seen() -> None:
    seen = made()
    confidences = cross_validated(seen)
    assert calibration_error(confidences, seen.right) < 0.04
    assert calibration_error(np.minimum(1, confidences + 0.2), seen.right) > 0.1
    low, high = interval(seen.image, lambda at: calibration_error(confidences[at], seen.right[at]), times=50)
    assert 0 < low < high < 0.1


def test_a_tag_is_judged_by_models_that_have_not_seen_its_image() -> None:
    """Features without meaning, and the image in one of them: only who has seen the image could tell."""
    draw = np.random.default_rng(2)
    right = np.repeat(draw.uniform(size=100) < 0.5, 5)
    rows = draw.normal(size=(500, 5))
    seen = Observations(rows, right, np.repeat(np.arange(100), 5), np.ones(500))
    confidences = cross_validated(seen)
    others = cross_validated(Observations(rows, ~right, seen.image, seen.weight))
    assert abs(float(confidences[right].mean() - confidences[~right].mean())) < 0.1
    assert confidences.shape == others.shape == (500,)


def test_bins_have_equal_counts_and_the_error_is_their_mean_difference() -> None:
    confidences = np.linspace(0, 1, 100)
    right = np.arange(100) % 2 == 0
    bins = reliability(confidences, right)
    assert [count for _, _, count in bins] == [10] * 10
    assert [mean for mean, _, _ in bins] == sorted(mean for mean, _, _ in bins)
    assert calibration_error(confidences, right) == pytest.approx(
        sum(abs(mean - share) for mean, share, _ in bins) / 10
    )


def test_sets_weigh_the_same_and_images_keep_apart() -> None:
    one, other = made(4, 5), made(2, 30)
    both = joined([(one.features, one.right, one.image), (other.features, other.right, other.image)])
    assert both.weight[:20].sum() == pytest.approx(both.weight[20:].sum())
    assert len(np.unique(both.image)) == 6


ALL_RIGHT = Observations(np.ones((300, 5)), np.ones(300, bool), np.arange(300), np.ones(300))


@pytest.mark.parametrize("seen", [made(5, 5), ALL_RIGHT])
def test_too_little_is_refused(seen: Observations) -> None:
    with pytest.raises(TooFewImages, match="label more images"):
        fit(seen)
