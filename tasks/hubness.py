"""Hubness: how near a caption is to images of any kind, as in cross-domain similarity local scaling.

(Conneau et al., ICLR 2018.) It depends on the caption alone, so it is computed once for each. Values are the same
whatever is computed together: a caption must not be ranked otherwise because of its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tasks.message_parts import Floats

NEAREST = 10  # reference vectors used to estimate a caption's hubness
KNOWN = 200_000  # captions whose hubness is remembered: about 20 MB


class ReferenceVectors:
    """Unit vectors (m, d) of images of every kind, and the hubness of captions that was computed with them."""

    def __init__(self, vectors: Floats) -> None:
        self.vectors = vectors
        self._known: dict[int, float] = {}

    def hubness(self, ids: Sequence[int], vectors: Floats) -> Floats:
        """The hubness (k,) of captions with these ids and unit vectors (k, d): a mean cosine.

        Captions with one id have one vector.
        """
        if len(self._known) > KNOWN:
            self._known.clear()
        found = np.empty(len(ids), np.float32)
        for at, number in enumerate(ids):
            value = self._known.get(number)
            if value is None:
                value = self._known[number] = self.of(vectors[at])
            found[at] = value
        return found

    def of(self, vector: Floats) -> float:
        """The hubness of one vector (d,)."""
        nearby = min(NEAREST, len(self.vectors))
        return float(np.partition(self.vectors @ vector, -nearby)[-nearby:].mean())
