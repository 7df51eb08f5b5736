"""Groups token lists into batches of similar length to avoid padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.int64]


def in_batches_by_length(
    tokens: Sequence[Sequence[int]], size: int, padding: int
) -> Iterator[tuple[list[int], Tokens, Tokens]]:
    """Yield rows of ``tokens`` in batches of at most ``size``, shortest first.

    Each batch: the positions of its rows, their ids padded on the right to the longest of them, and a mask with 1 for
    tokens and 0 for padding; both int64 of shape (batch, longest).
    """
    order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
    for begin in range(0, len(order), size):
        rows = order[begin : begin + size]
        lengths = np.array([len(tokens[row]) for row in rows])
        ids = np.full((len(rows), lengths[-1]), padding, np.int64)
        for place, row in enumerate(rows):
            ids[place, : lengths[place]] = tokens[row]
        yield rows, ids, (np.arange(lengths[-1]) < lengths[:, None]).astype(np.int64)
