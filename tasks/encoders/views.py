"""Pictures that are looked at more than once: very long images by windows, videos by frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from tasks.encoders.protocols import Floats


def encoded_views(
    pictures: Sequence[Sequence[Image.Image]], encode: Callable[[Sequence[Image.Image]], Floats]
) -> Floats:
    """Encode all views of all pictures in one call of ``encode``, which returns (n, d) float32 of unit length.

    The vector of a picture is the normalised mean of its views' vectors; that of its only view stays as it is. Raises
    what ``encode`` raises.
    """
    vectors = encode([view for views in pictures for view in views])
    if all(len(views) == 1 for views in pictures):
        return vectors
    made = np.empty((len(pictures), vectors.shape[1]), dtype=np.float32)
    begin = 0
    for row, views in enumerate(pictures):
        of_picture = vectors[begin : begin + len(views)]
        begin += len(views)
        made[row] = of_picture[0] if len(views) == 1 else _mean(of_picture)
    return made


def _mean(vectors: Floats) -> Floats:
    mean = vectors.mean(axis=0, dtype=np.float64)
    unit: Floats = (mean / (np.linalg.norm(mean) or 1.0)).astype(np.float32)
    return unit
