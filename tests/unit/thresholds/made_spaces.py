"""Made spaces with the geometry of CLIP and SigLIP, where the truth is known.

Texts lie in one narrow cone and images in another; between the two is a gap. A vector is a share of the axis of its
cone and a content. Captions of one concept are near each other, an image's content holds a part of its concept's, and
hubs are captions that lean towards all images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.encoders.protocols import Floats
from tasks.vector_maths import unit

KINDS = ("noise", "one colour", "blur", "shuffled patches", "blank page", "text page")


@dataclass(frozen=True)
class Geometry:
    """``cone``: squared length of a vector along the axis of its cone. ``gap``: cosine of the two axes.

    ``match``: cosine of the contents of an image and of a caption that describes it.
    """

    cone: float
    gap: float
    match: float
    dimension: int = 512


# cosines of images with their captions are 0.31 and with others 0.16 in the first, 0.20 and -0.02 in the second
CLIP = Geometry(cone=0.45, gap=0.36, match=0.29)
SIGLIP = Geometry(cone=0.3, gap=-0.06, match=0.31)


class MadeSpace:
    """Captions of ``concepts``, two of each, and ``hubs``; images of concepts, of other things and of nothing."""

    def __init__(self, geometry: Geometry, seed: int = 0, concepts: int = 1000, hubs: int = 10) -> None:
        self._geometry = geometry
        self._draw = np.random.default_rng(seed)
        axes, _ = np.linalg.qr(self._draw.normal(size=(geometry.dimension, 2)))
        self._texts: Floats = axes[:, 0].astype(np.float32)
        across = axes[:, 1].astype(np.float32)
        self._axes: Floats = axes.astype(np.float32)
        self._images: Floats = (geometry.gap * self._texts + np.sqrt(1 - geometry.gap**2) * across).astype(np.float32)
        self._concepts = self._anything(concepts)
        self._kinds = dict(zip(KINDS, self._anything(len(KINDS)), strict=True))
        twice = self._concepts.repeat(2, axis=0)
        contents = np.concatenate([unit(twice + self._anything(len(twice)) * 0.5), self._hubs(hubs, across)])
        self.captions = self._in_cone(self._texts, contents)

    def images(self) -> Floats:
        """One image of each concept."""
        return self._shown(self._concepts)

    def images_of_other_things(self, count: int) -> Floats:
        """Images of concepts without captions."""
        return self._shown(self._anything(count))

    def nulls(self, each: int = 12) -> dict[str, Floats]:
        """Images of nothing, by kind. Those of one kind resemble each other."""
        return {kind: self._in_cone(self._images, self._near(own, each)) for kind, own in self._kinds.items()}

    def captions_of(self, kind: str, count: int) -> Floats:
        """Captions that describe one kind of nothing truly."""
        return self._in_cone(self._texts, unit(self._kinds[kind] + 0.5 * self._anything(count)))

    def _shown(self, concepts: Floats) -> Floats:
        match = self._geometry.match
        # a caption is as far from its concept as 0.5 makes it, so the image must be nearer to that
        part = match * np.sqrt(1.25)
        return self._in_cone(
            self._images, unit(part * concepts + np.sqrt(1 - part**2) * self._anything(len(concepts)))
        )

    def _near(self, own: Floats, count: int) -> Floats:
        return unit(0.3 * own + self._anything(count))

    def _hubs(self, count: int, across: Floats) -> Floats:
        return unit(self._anything(count) + 0.1 * across)

    def _anything(self, count: int) -> Floats:
        """Contents of any kind, across the axes of the cones."""
        drawn = self._draw.normal(size=(count, self._geometry.dimension)).astype(np.float32)
        return unit((drawn - drawn @ self._axes @ self._axes.T).astype(np.float32))

    def _in_cone(self, axis: Floats, contents: Floats) -> Floats:
        cone = self._geometry.cone
        return unit((np.sqrt(cone) * axis + np.sqrt(1 - cone) * contents).astype(np.float32))


def pages(captions: Floats, size: int = 700) -> Iterator[tuple[Sequence[int], Floats]]:
    """As an index gives them; the captions of one concept are far from each other."""
    order = np.random.default_rng(5).permutation(len(captions))
    for start in range(0, len(captions), size):
        rows = order[start : start + size]
        yield [int(number) for number in range(start, start + len(rows))], captions[rows]


def rotation(dimension: int) -> Floats:
    turned: Floats = np.linalg.qr(np.random.default_rng(1).normal(size=(dimension, dimension)))[0].astype(np.float32)
    return turned


def in_narrower_cone(vectors: Floats, share: float) -> Floats:
    """The vectors with one more direction, the same for all: each cosine c becomes share + (1 - share) c."""
    wider = np.empty((len(vectors), vectors.shape[1] + 1), np.float32)
    wider[:, :-1] = vectors * np.sqrt(1 - share)
    wider[:, -1] = np.sqrt(share)
    return wider
