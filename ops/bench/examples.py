"""Teaching by one example, a part of ``python -m ops.bench search``: other views gain the label, other images do not.

Photographs are tagged as ``wildtag tag`` does. A lesson is a photograph and its most specific label that none of its
tags is right for (``tasks.evaluation.teaching``). Each lesson is taught alone, in an archive of all photographs and
cut-outs but the taught one, and then looked for on the other views of it (``tasks.evaluation.retakes``).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from PIL import Image
from rich.progress import track

from ops.bench.labelled import Images
from tasks.evaluation.acceptance import Acceptance
from tasks.evaluation.manifest import BadManifest
from tasks.evaluation.retakes import RETAKES
from tasks.evaluation.teaching import LESSONS, Lesson, Outcome, carriers, lessons, outcome, summary
from tasks.exemplars.judging import Examples, Exemplar
from tasks.exemplars.nearness import calibrate
from tasks.images import decode
from tasks.labels.index_form import index_form
from tasks.message_parts import Floats
from workers.cli.console import messages
from workers.evaluation.adapters import sentences
from workers.wiring.wiring import Wiring

QUALITY = 88  # of the JPEG files of the views


def example_figures(
    photographs: Images,
    cutouts: Images | None,
    wiring: Wiring,
    count: int = LESSONS,
    acceptance: Acceptance | None = None,
) -> dict[str, Any]:
    """Teach at most ``count`` lessons, each alone. Raises ``BadManifest`` if tags are right for all labels."""
    accepted = acceptance or Acceptance(sentences(wiring.settings.cache_folder))
    labels = [item.labels for images in (photographs, cutouts) if images for item in images.items]
    archive = np.concatenate([images.vectors for images in (photographs, cutouts) if images])
    shown = [[label for label, _, _ in found] for found in photographs.labels]
    taught = lessons(shown, labels[: len(photographs.items)], accepted, count)
    if not taught:
        raise BadManifest("no lesson: the tags of every photograph are right for all of its labels")
    found = [
        _taught(lesson, _views(photographs, lesson, wiring), archive, carriers(lesson, labels, accepted), wiring)
        for lesson in track(taught, "teaching", console=messages, transient=True)
    ]
    others = float(np.mean([one.others for one in found]))
    return {**asdict(summary(found)), "views_of_each": len(RETAKES), "archive": len(archive), "others": others}


def _views(photographs: Images, lesson: Lesson, wiring: Wiring) -> Floats:
    """(views, d)"""
    image = decode(photographs.items[lesson.image].path.read_bytes())
    views = [_saved(retake(image)) for retake in RETAKES.values()]
    return wiring.image_encoder.encode(views)


def _saved(image: Image.Image) -> Image.Image:
    """As a file of it is read: with the losses of JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return decode(file.getvalue())


def _taught(lesson: Lesson, views: Floats, archive: Floats, carrying: Any, wiring: Wiring) -> Outcome:
    others = np.delete(archive, lesson.image, axis=0)
    near = calibrate(others, wiring.space.usual_distance)
    taught = Exemplar("taught/image", lesson.label, accepted=True, vector=archive[lesson.image])
    examples = Examples([taught], near)
    return outcome(lesson, _gained(examples, views, lesson), _gained(examples, archive, lesson), carrying)


def _gained(examples: Examples, vectors: Floats, lesson: Lesson) -> Sequence[bool]:
    form = index_form(lesson.label)
    return [form in {index_form(one.label) for one in judged.gained} for judged in examples.judge(vectors)]
