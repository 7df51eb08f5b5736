"""Fits the confidence model of the settings' encoder on labelled images, and measures it by cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import msgspec
import numpy as np
from numpy.typing import NDArray

from tasks.calibration import Observations, calibration_error, cross_validated, fit, interval, joined
from tasks.confidence import ConfidenceModel, Numbers
from tasks.evaluation.acceptance import Acceptance
from tasks.evaluation.manifest import Labelled, Skipped
from tasks.evaluation.observing import observed
from vectordb.index import CaptionIndex, sample
from workers.evaluation.adapters import sentences, source_of, tools_of
from workers.wiring.wiring import Wiring

REPEATS = 5  # divisions into folds that the figures are averaged over
LEVELS = tuple(round(0.05 * step, 2) for step in range(2, 20))


class Level(msgspec.Struct, frozen=True):
    """What a minimum confidence shows, cross-validated.

    ``tags_shown`` per image; ``right``: the share of them that is right; ``spread``: its standard deviation over the
    divisions into folds; ``with_right``: the share of images that show a right one; ``first_right``: the share of
    images that show any whose first is right.
    """

    confidence: float
    tags_shown: float
    right: float
    spread: float
    with_right: float
    first_right: float


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """A fitted model and its cross-validated figures. ``sets``: per set its levels, by name."""

    model: ConfidenceModel
    images: int
    tags: int
    right: int
    calibration_error: float
    calibration_interval: tuple[float, float]
    sets: dict[str, list[Level]]
    skipped: list[str]


def calibrated(
    wiring: Wiring, index: CaptionIndex, sets: Sequence[Labelled], *, precision: float, threshold: float | None,
    limit: int | None, on_progress: Callable[[str, int, int], None],
) -> Calibration:  # fmt: skip
    """Fit and measure. ``threshold``: default minimum confidence; otherwise the lowest that reaches ``precision``.

    Every set weighs the same. Raises ``TooFewImages``.
    """
    tools = replace(tools_of(wiring, index, []), background_vectors=sample(index))
    source, acceptance = source_of(wiring), Acceptance(sentences(wiring.settings.cache_folder))
    parts, skipped, images = [], list[Skipped](), 0
    for labelled in sets:
        name = labelled.source.name
        items = labelled.spread(limit)
        images += len(items)
        parts.append(observed(items, source, tools, acceptance, partial(on_progress, name)))
        skipped += [*labelled.skipped, *parts[-1].skipped]
    seen = joined([(part.features, part.right, part.image) for part in parts])
    tries = [cross_validated(seen, seed) for seed in range(REPEATS)]
    error = float(np.mean([calibration_error(one, seen.right) for one in tries]))
    spread = interval(seen.image, lambda at: calibration_error(tries[0][at], seen.right[at]))
    most = wiring.settings.max_tags
    levels, begin = {}, 0
    for labelled, part in zip(sets, parts, strict=True):
        own = slice(begin, begin + len(part.right))
        levels[str(labelled.source)] = [
            _level(at, [one[own] for one in tries], _part(seen, own), most) for at in LEVELS
        ]
        begin += len(part.right)
    everything = [_level(at, tries, seen, most) for at in LEVELS]
    chosen = threshold if threshold is not None else chosen_level(everything, precision)
    origin: dict[str, str | int | float | list[float]] = {
        "fitted_on": ", ".join(labelled.source.name for labelled in sets),
        "images": images, "tags": len(seen.right), "right_tags": int(seen.right.sum()),
        "captions_version": wiring.revision.captions_version,
        "calibration_error": round(error, 4), "calibration_interval": [round(edge, 4) for edge in spread],
        "date": datetime.now(UTC).date().isoformat(),
    }  # fmt: skip
    return Calibration(
        model=fit(seen).model(wiring.space.id, chosen, origin), images=images, tags=len(seen.right),
        right=int(seen.right.sum()), calibration_error=round(error, 4),
        calibration_interval=(round(spread[0], 4), round(spread[1], 4)), sets=levels,
        skipped=[str(one) for one in skipped],
    )  # fmt: skip


def _part(seen: Observations, own: slice) -> Observations:
    return Observations(seen.features[own], seen.right[own], seen.image[own], seen.weight[own])


def _level(least: float, tries: Sequence[Numbers], seen: Observations, most: int) -> Level:
    rows = np.array([_shown(confidences, seen, least, most) for confidences in tries])
    mean, deviation = rows.mean(axis=0).round(4).tolist(), float(rows[:, 1].std().round(4))
    return Level(least, mean[0], mean[1], deviation, mean[2], mean[3])


def _shown(confidences: Numbers, seen: Observations, least: float, most: int) -> tuple[float, float, float, float]:
    """Tags per image, share right, share of images with a right one, share of first tags that is right."""
    images = np.unique(seen.image)
    shown: list[NDArray[np.bool_]] = []
    for image in images:
        at = np.flatnonzero((seen.image == image) & (confidences >= least))
        shown.append(seen.right[at[np.argsort(-confidences[at], kind="stable")][:most]])
    count = sum(map(len, shown))
    firsts = [one[0] for one in shown if len(one)]
    right = sum(int(one.sum()) for one in shown)
    covered = sum(bool(one.any()) for one in shown)
    return (
        count / len(images),
        right / max(1, count),
        covered / len(images),
        float(np.mean(firsts)) if firsts else 0.0,
    )


def chosen_level(levels: Sequence[Level], precision: float) -> float:
    """The lowest level that reaches the precision, otherwise the most precise one."""
    reached = [level.confidence for level in levels if level.right >= precision and level.tags_shown]
    return min(reached) if reached else max(levels, key=lambda level: level.right).confidence
