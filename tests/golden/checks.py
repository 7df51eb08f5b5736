"""A check for each kind of case: run the project's stages on its inputs, compare with its outputs.

A check returns what differs, as texts for a person; an empty list means that the case passes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
import numpy as np
from PIL import Image

from tasks.cache import LRUCache
from tasks.encoders.protocols import Space
from tasks.evaluation.overlaps import Compared, overlaps
from tasks.extraction import extract
from tasks.extraction.filters import FREQUENCY, WORD_FILTERS
from tasks.extraction.paper import words_of
from tasks.message_parts import Floats
from tasks.metrics import cluster_accuracy, semantic_iou, semantic_similarity
from tasks.retrieval import retrieve
from tasks.scoring import score
from tasks.segmentation.grids import accumulated, boxes_of, coverage, crops, grids
from tests.golden.given import SPACE_ID, GivenEncoder, GivenExtractor, GivenIndex, embedded, unit
from workers.settings.settings import Settings

TOLERANCE = 2e-5  # the files' numbers are rounded to 6 or 7 digits
CROP_SIDE = 6  # pixels, of the resized crops whose means the files hold

Case = Mapping[str, Any]
Check = Callable[[Case], list[str]]


def text_transforms(case: Case) -> list[str]:
    """Every filter after the one before it, then the words that are left."""
    filters = {one.__name__: one for one in (*WORD_FILTERS, FREQUENCY)}
    text = " ".join(case["captions"])
    wrong = []
    for name, expected in case["steps"]:
        text = filters[name](text)
        if text != expected:
            wrong.append(f"{name}: {text!r} instead of {expected!r}")
    if [name for name, _ in case["steps"]] != list(filters):
        wrong.append("the filters come in another order")
    if (words := sorted(set(words_of(case["captions"])))) != sorted(case["words"]):
        wrong.append(f"words: {words} instead of {sorted(case['words'])}")
    return wrong


def dedupe(case: Case) -> list[str]:
    """Retrieval, of the given captions."""
    vectors = np.asarray(case["vectors"], dtype=np.float32)
    index = GivenIndex([[str(number) for number in range(len(vectors))]], [vectors])
    batch = retrieve(embedded(vectors[:1]), index, limit=len(vectors), duplicate_similarity=case["threshold"])
    kept = [hit.id for hit in batch.hits[0]]
    wrong = [] if kept == sorted(case["kept"]) else [f"kept {kept} instead of {case['kept']}"]
    return wrong if len(kept) == case["components"] else [*wrong, f"{len(kept)} components: {case['components']}"]


def scoring(case: Case) -> list[str]:
    """Retrieval, extraction and scoring, of the given captions and candidates."""
    space = Space(SPACE_ID, case["dim"], case["logit_scale"], case["logit_bias"] or 0.0, case["normalisation"])
    encoder = GivenEncoder(space, case["embeddings"])
    memory = LRUCache(1000)
    index = GivenIndex(case["captions"], [encoder.encode(texts) for texts in case["captions"]])
    # no two captions are duplicates at a cosine that none exceeds
    retrieved = retrieve(embedded(unit(case["image_vectors"])), index, limit=1000, duplicate_similarity=2.0)
    extracted = extract(retrieved, GivenExtractor(case["candidates"]), memory)
    scored = score(extracted, encoder, memory, alpha=case["alpha"], tau=case["tau"], max_tags=None)
    wrong = []
    for number, (tags, expected) in enumerate(zip(scored.tags, case["scores"], strict=True)):
        ours, theirs = {tag.label: tag.score for tag in tags}, dict(expected)
        if ours.keys() != theirs.keys():
            wrong.append(f"image {number}: candidates {sorted(ours)} instead of {sorted(theirs)}")
            continue
        wrong += [
            f"image {number}: {label} {ours[label]} instead of {theirs[label]}"
            for label in theirs
            if not abs(ours[label] - theirs[label]) <= TOLERANCE
        ]
    return wrong


def classification(case: Case) -> list[str]:
    """The three metrics of whole sets of predictions."""
    pair = (case["predictions"], case["targets"])
    ours = {
        "cluster_accuracy": cluster_accuracy(*pair),
        "semantic_iou": semantic_iou(*pair),
        "semantic_similarity": semantic_similarity(*pair, _sentences()),
    }
    return [
        f"{name}: {value} instead of {case[name]}"
        for name, value in ours.items()
        if not abs(value - case[name]) <= TOLERANCE
    ]


def segmentation(case: Case) -> list[str]:
    """All metrics of whole sets of segmentations."""
    classes = case["classes"]
    images = [
        Compared.of(one["names"], np.array(one["label_map"]), np.array(one["target"]), len(classes))
        for one in case["images"]
    ]
    ours = msgspec.to_builtins(overlaps(images, classes, _sentences()))
    return [
        f"{name}: {value} instead of {case[name]}"
        for name, value in ours.items()
        if not abs(value - case[name]) <= TOLERANCE
    ]


def dense_crops(case: Case) -> list[str]:
    """Boxes and pixels of the crops of all grids, and the map that given vectors of them accumulate to."""
    wanted = grids(case["grid_sizes"], half_strides=case["stride_grid"])
    boxes = boxes_of(wanted)
    height, width, side = case["height"], case["width"], case["pixel_map_size"]
    y, x = np.indices((height, width))
    channels = [Image.fromarray(each.astype(np.float32)) for each in (y / height, x / width, (y // 7 + x // 5) % 2)]
    means = [[np.asarray(crop).mean() for crop in crops(channel, wanted, CROP_SIDE)] for channel in channels]
    cells = accumulated(np.asarray(case["crop_vectors"], np.float32), coverage(boxes, (side, side)))
    pairs = {"boxes_xywh": boxes, "crop_means": np.transpose(means), "pixel_vectors": cells}
    wrong = []
    for name, ours in pairs.items():
        theirs = np.asarray(case[name])
        if ours.shape != theirs.shape:
            wrong.append(f"{name}: {ours.shape} instead of {theirs.shape}")
        elif not (np.abs(ours - theirs) <= TOLERANCE).all():
            wrong.append(f"{name}: up to {np.abs(ours - theirs).max()} apart")
    return wrong


@cache
def _sentences() -> Callable[[Sequence[str]], Floats]:
    from tasks.encoders.minilm import MiniLM  # noqa: PLC0415 -- only these checks need it

    return MiniLM(Settings().cache_folder).encode
