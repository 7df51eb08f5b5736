"""The vector that a text query is searched with: query expansion, without labels and without training.

The vector of a short text is a poor example of the images that show it. It is moved towards two means: of the
captions nearest to the text (pseudo-relevance feedback), and, for an encoder with reference vectors, of the reference
vectors, weighted by a softmax over their cosines to the text. The second brings the query to where image vectors lie.
Figures: ops/decisions/0028-search.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.vector_maths import Floats

Numbers = NDArray[np.float64]

CAPTIONS = 20  # the nearest captions of the query, without hubness correction
SHARPNESS = 20.0  # multiplies the cosines to the reference vectors before the softmax


def expanded(vector: Floats, captions: Floats, reference_vectors: Floats | None = None) -> Floats:
    """The unit vector (d,) to search images with: the unit mean of the text, its captions and its references.

    ``vector``: unit vector (d,) of the text. ``captions``: unit vectors (k, d) of the nearest captions; may be
    empty. ``reference_vectors``: unit vectors (m, d), see ``tasks.encoders.reference_vectors``.
    """
    query = vector.astype(np.float64)
    parts = [query]
    if len(captions):
        parts.append(_unit(captions.mean(axis=0, dtype=np.float64)))
    if reference_vectors is not None and len(reference_vectors):
        # in float32: products with a float64 vector would copy the whole matrix
        logits = SHARPNESS * (reference_vectors @ vector)
        weights = np.exp(logits - logits.max())
        parts.append(_unit((weights @ reference_vectors).astype(np.float64)))
    found: Floats = _unit(np.sum(parts, axis=0)).astype(np.float32)
    return found


def _unit(row: Numbers) -> Numbers:
    length = float(np.linalg.norm(row))
    return row / length if length > 0 else row
