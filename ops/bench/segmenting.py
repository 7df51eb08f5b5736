"""Cost of segmenting an image relative to encoding its crops, and agreement of two methods."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from statistics import mean, median
from typing import Any

import numpy as np
from PIL import Image
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]  # scipy has no stubs of its own

from tasks.cache import LRUCache
from tasks.encoders.protocols import ImageEncoder, Space
from tasks.message_parts import Floats
from tasks.messages import Embedded, Extracted, Scored
from tasks.pipeline import CACHED, Pipeline
from tasks.segmentation.dense import CHUNK
from tasks.segmentation.drawing import segmented
from tasks.segmentation.results import Segmented
from tasks.segmentation.run import SegmentationMethod, segment

CROPS = 283  # of the paper's grids
STAGES = ("cut", "encode", "retrieve", "extract", "score", "name", "draw")


class Blind:
    """An image encoder that returns zeros at no cost and records its input."""

    def __init__(self, space: Space, side: int) -> None:
        self.space = space
        self.side = side
        self.shown: list[Image.Image] = []

    def encode(self, images: Sequence[Image.Image]) -> Floats:
        """Zeros, (n, dimension)."""
        self.shown += images
        return np.zeros((len(images), self.space.dimension), np.float32)


class Watched:
    """An image encoder that adds its seconds to ``spent``."""

    def __init__(self, encoder: ImageEncoder, spent: defaultdict[str, float]) -> None:
        self.space = encoder.space
        self.side = encoder.side
        self._encoder = encoder
        self._spent = spent

    def encode(self, images: Sequence[Image.Image]) -> Floats:
        """See ``ImageEncoder.encode``."""
        begun = time.perf_counter()
        vectors = self._encoder.encode(images)
        self._spent["encode"] += time.perf_counter() - begun
        return vectors


@dataclass(frozen=True)
class WatchedPipeline(Pipeline):
    """A pipeline that adds the seconds of its stages to ``spent``. It needs a clock."""

    spent: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def candidates(self, batch: Embedded) -> Extracted:
        """See ``Pipeline.candidates``."""
        found = super().candidates(batch)
        self.spent["retrieve"] += found.timings_ms["retrieval"] / 1000
        self.spent["extract"] += found.timings_ms["extraction"] / 1000
        return found

    def score(self, batch: Extracted) -> Scored:
        """See ``Pipeline.score``."""
        scored = super().score(batch)
        self.spent["score"] += scored.timings_ms["scoring"] / 1000
        return scored


@dataclass
class Taken:
    """One picture: seconds a round by what was run, the first method's shares of both states, and its crops."""

    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    shares: dict[str, list[dict[str, float]]] = field(default_factory=lambda: {"cold": [], "warm": []})
    crops: dict[str, int] = field(default_factory=dict)
    looked_up: dict[str, int] = field(default_factory=dict)

    def ratio(self, what: str) -> float:
        """The ratio of adjacent rounds, so that other load affects both equally."""
        return median(one / alone for one, alone in zip(self.seconds[what], self.seconds["alone"], strict=True))


def taken(image: Image.Image, methods: Mapping[str, SegmentationMethod], pipeline: Pipeline, rounds: int) -> Taken:
    """Time the first of ``methods`` and the encoding of its crops, then the others, alternately.

    The first runs with an empty cache (``cold``) and again (``warm``), the others after that.
    """
    (first, method), *others = methods.items()
    blind = Blind(pipeline.image_encoder.space, pipeline.image_encoder.side)
    method.draw(image, replace(pipeline, image_encoder=blind))
    found = Taken()
    for _ in range(rounds):
        begun = time.perf_counter()
        for start in range(0, len(blind.shown), CHUNK):  # the chunk size of dense
            pipeline.image_encoder.encode(blind.shown[start : start + CHUNK])
        found.seconds["alone"].append(time.perf_counter() - begun)
        begun = time.perf_counter()
        method.draw(image, replace(pipeline, image_encoder=Blind(blind.space, blind.side)))
        cut = time.perf_counter() - begun
        here = replace(pipeline, cache=LRUCache(CACHED))
        for state in ("cold", "warm"):
            spent, result = watched(image, method, here)
            total = sum(spent.values())
            # what is left of drawing the map is cutting, and then naming
            spent["cut"], spent["name"] = cut, spent["name"] - cut
            found.seconds[state].append(total)
            found.shares[state].append({stage: spent[stage] / total for stage in STAGES})
            found.crops[first], found.looked_up[first] = result.encoded, result.looked_up
        for name, other in others:
            begun = time.perf_counter()
            result = segment(image, other, here)
            found.seconds[name].append(time.perf_counter() - begun)
            found.crops[name], found.looked_up[name] = result.encoded, result.looked_up
    return found


def watched(
    image: Image.Image, method: SegmentationMethod, pipeline: Pipeline
) -> tuple[defaultdict[str, float], Segmented]:
    """A segmentation, and the time of its stages; ``name`` is the rest, including cutting."""
    spent: defaultdict[str, float] = defaultdict(float)
    given = {one.name: getattr(pipeline, one.name) for one in fields(pipeline)}
    encoder = Watched(pipeline.image_encoder, spent)
    of_stages = WatchedPipeline(**{**given, "image_encoder": encoder, "clock": time.perf_counter, "spent": spent})
    begun = time.perf_counter()
    drawing = method.draw(image, of_stages)
    spent["name"] = time.perf_counter() - begun - sum(spent.values())
    begun = time.perf_counter()
    result = segmented(drawing, method.name, image.size)
    spent["draw"] = time.perf_counter() - begun
    return spent, result


def summary(of_pictures: Sequence[Taken]) -> dict[str, Any]:
    """Medians over the pictures of medians over the rounds; crops are means."""
    one = of_pictures[0]
    return {
        "ratio": {state: median(taken.ratio(state) for taken in of_pictures) for state in one.shares},
        "ratios": {state: [taken.ratio(state) for taken in of_pictures] for state in one.shares},
        "ms": {
            what: 1000 * median(median(taken.seconds[what]) for taken in of_pictures) for what in one.seconds
        },
        "shares": {
            state: {
                stage: median(median(shares[stage] for shares in taken.shares[state]) for taken in of_pictures)
                for stage in STAGES
            }
            for state in one.shares
        },
        "crops": {method: median(taken.crops[method] for taken in of_pictures) for method in one.crops},
        "looked_up": {method: median(taken.looked_up[method] for taken in of_pictures) for method in one.looked_up},
    }  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """One picture: crops of both methods, and the share of the area where they say the same label.

    ``but_for_names``: the same with labels of the one paired with those of the other as is best for it.
    """

    crops: tuple[int, int]
    same: float
    but_for_names: float


def compared(
    image: Image.Image, methods: tuple[SegmentationMethod, SegmentationMethod], pipeline: Pipeline
) -> Compared:
    """Segment a picture twice, and compare the label maps."""
    one, other = (segment(image, method, pipeline) for method in methods)
    return Compared((one.encoded, other.encoded), *agreement(one, other))


def agreement(one: Segmented, other: Segmented) -> tuple[float, float]:
    """Shares of the area with the same label (also unknown), and with the same segment apart from its name."""
    labels = list(dict.fromkeys([*one.labels, *other.labels]))
    at = [np.array([labels.index(label) for label in each.labels])[each.label_map()] for each in (one, other)]
    pairs = np.bincount((at[0] * len(labels) + at[1]).ravel(), minlength=len(labels) ** 2)
    shared = pairs.reshape(len(labels), len(labels)) / at[0].size
    return float(np.trace(shared)), float(shared[linear_sum_assignment(-shared)].sum())


def comparison(of_pictures: Sequence[Compared]) -> dict[str, Any]:
    """Means over the images. ``of_all``: share of encoded crops among those of the paper's grids."""
    full, coarse = (np.array([one.crops[at] for one in of_pictures]) for at in (0, 1))
    return {
        "pictures": len(of_pictures),
        "of_all": {"full": float(full.mean() / CROPS), "coarse": float(coarse.mean() / CROPS)},
        "of_full": float(coarse.sum() / max(1, full.sum())),
        "same": mean(one.same for one in of_pictures),
        "same_median": median(one.same for one in of_pictures),
        "but_for_names": mean(one.but_for_names for one in of_pictures),
    }
