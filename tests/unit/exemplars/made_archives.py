"""Made archives of image vectors, with the geometry of several spaces.

A vector is a share of the axis of a cone and a content. Images of different subjects have independent contents; other
views of an image have most of its content.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from tasks.encoders.protocols import Floats
from tasks.vector_maths import unit


@dataclass(frozen=True)
class Geometry:
    """``cone``: the cosine of two unlike images. ``spread``: how unevenly contents use the dimensions; 0 is evenly.

    With an uneven use there are images of all degrees of likeness, as in real archives.
    """

    cone: float
    spread: float = 0.0
    dimension: int = 512


SPACES: Mapping[str, Geometry] = MappingProxyType(
    {
        "no cone": Geometry(0.0, 1.0, 384),
        "CLIP": Geometry(0.45, 0.7),
        "SigLIP": Geometry(0.3, 0.7, 768),
        "a narrow cone": Geometry(0.9, 0.7),
        "isotropic": Geometry(0.0, 0.0),
    }
)


class MadeArchive:
    """Draws images of one space. The same seed draws the same images."""

    def __init__(self, geometry: Geometry, seed: int = 0) -> None:
        self._geometry = geometry
        self._draw = np.random.default_rng(seed)
        self._scales = np.arange(1, geometry.dimension) ** (-geometry.spread / 2)

    def images(self, count: int) -> Floats:
        """(count, d) images of different subjects."""
        return self._in_cone(self._contents(count))

    def views(self, image: Floats, count: int, changed: float = 0.1) -> Floats:
        """(count, d) other views of an image (d,). ``changed``: squared length of the new part of the content."""
        own = unit(image[1:])
        return self._in_cone(unit(np.sqrt(1 - changed) * own + np.sqrt(changed) * self._contents(count)))

    def _contents(self, count: int) -> Floats:
        drawn = self._draw.normal(size=(count, self._geometry.dimension - 1)) * self._scales
        return unit(drawn.astype(np.float32))

    def _in_cone(self, contents: Floats) -> Floats:
        cone = self._geometry.cone
        axis = np.full((len(contents), 1), np.sqrt(cone), np.float32)
        return np.hstack([axis, np.float32(np.sqrt(1 - cone)) * contents]).astype(np.float32)
