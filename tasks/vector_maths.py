"""Maths of unit vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def unit(vectors: Floats) -> Floats:
    """Scale each row (…, d) to unit length; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    rows: Floats = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return rows
