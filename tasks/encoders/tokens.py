"""Groups token lists into batches of similar length to avoid padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def in_batches_by_length(
    tokens: Sequence[Sequence[int]], size: int, padding: int
) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
    """Yield rows of ``tokens`` in batches of at most ``size``, shortest first.

    Each batch: the positions of its rows, their ids padded on the right to the longest of them, and a mask with 1 for
    tokens and 0 for padding; both int64 of shape (batch, longest).
    """
    import torch  # noqa: PLC0415 - torch is loaded only when needed

    order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
    for begin in range(0, len(order), size):
        rows = order[begin : begin + size]
        longest = len(tokens[rows[-1]])
        ids = torch.tensor([[*tokens[row], *[padding] * (longest - len(tokens[row]))] for row in rows])
        lengths = torch.tensor([[len(tokens[row])] for row in rows])
        yield rows, ids, (torch.arange(longest) < lengths).long()
