"""Plain pixels that were not written: a file that was allocated at its full length, and whose writer stopped.

Such a file ends with zeros, which are black pixels. So do good pictures: with black bars, at night, on a black
background. The rule, for the rows in the order of the file:

- The zeros begin within a row that is filled up to there. The row before goes on to its end, at least 16 levels
  bright on average, and both are alike up to the place where the zeros begin. At least four rows of zeros follow.
  Pictures do not end like this: such a file is truncated.
- The zeros begin elsewhere, but a sixteenth of the rows or more are zeros, the rows before are not those of an object
  that ends (a quarter of their pixels show something), and there is no bar of such a height at the other end. Both
  are possible: the file is read, and a warning says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.images.errors import TruncatedImage
from tasks.message_parts import MediaWarning

_LEAST_ROWS = 4
_SHARE = 16  # one of so many rows
_PIXELS = 8  # on either side of the place where zeros begin
_FILLED, _SOME = 0.9, 0.25  # shares of pixels that are not zero
_BRIGHT = 16.0  # levels
_BLOCK = 2**22  # bytes that are looked at together

Row = NDArray[np.uint8]


@dataclass(frozen=True)
class Rows:
    """Where rows of plain pixels are in a file.

    ``parts``: offset and number of rows of each part, such as a strip, in the order of the file. ``stride``: bytes
    from row to row; ``used``: bytes of these that hold pixels; ``pixel``: bytes of one, at least 1. ``levels``:
    whether they are levels, and not bits or places in a palette.
    """

    data: bytes
    parts: Sequence[tuple[int, int]]
    stride: int
    used: int
    pixel: int = 1
    levels: bool = True

    @property
    def count(self) -> int:
        """All rows."""
        return sum(rows for _, rows in self.parts)

    def row(self, number: int) -> Row:
        """The bytes of a row that hold pixels."""
        for offset, rows in self.parts:
            if number < rows:
                return np.frombuffer(self.data, np.uint8, self.used, offset + number * self.stride)
            number -= rows
        raise IndexError(number)

    def zeros_at_end(self) -> int:
        """Rows at the end that are nothing but zeros."""
        return _zeros(self, [(offset, rows, -1) for offset, rows in reversed(self.parts)])

    def zeros_at_begin(self) -> int:
        """Rows at the beginning that are nothing but zeros."""
        return _zeros(self, [(offset, rows, 1) for offset, rows in self.parts])


def _zeros(rows: Rows, parts: Sequence[tuple[int, int, int]]) -> int:
    found = 0
    step = max(1, _BLOCK // max(1, rows.stride))
    for offset, count, direction in parts:
        for begin in range(0, count, step):
            size = min(step, count - begin)
            first = begin if direction > 0 else count - begin - size
            length = (size - 1) * rows.stride + rows.used
            block = np.frombuffer(rows.data, np.uint8, length, offset + first * rows.stride)
            places = np.flatnonzero(block)
            if places.size:
                edge = int(places[0 if direction > 0 else -1]) // rows.stride
                return found + (edge if direction > 0 else size - 1 - edge)
            found += size
    return found


def check(kind: str, rows: Rows, *, upwards: bool = False) -> MediaWarning | None:
    """A warning if the end of the pixels may not have been written.

    ``upwards``: the first row of the file is the lowest one. Raises ``TruncatedImage`` if it was not written.
    """
    count = rows.count
    if rows.used <= 0 or count <= _LEAST_ROWS:
        return None
    zeros = rows.zeros_at_end()
    if zeros < _LEAST_ROWS:
        return None
    share = f"{100 * zeros / count:.0f} %"
    if zeros == count:
        return MediaWarning("may-be-truncated", "all of its pixels are zero: they may not have been written")
    last = count - zeros - 1
    if last >= 2 and _breaks_off(rows, last):
        raise TruncatedImage(
            f"the {kind} image is truncated: the last {share} of its pixels are zeros, which begin within a row"
        )
    filled = max(_shown(rows, rows.row(at)) for at in range(max(0, last - 2), last + 1))
    if zeros * _SHARE < count or filled < _SOME or rows.zeros_at_begin() >= zeros * 0.8 - 1:
        return None
    where = "upper" if upwards else "lower"
    return MediaWarning(
        "may-be-truncated", f"the {where} {share} of its rows are zeros: they show one colour, or were not written"
    )


def _breaks_off(rows: Rows, last: int) -> bool:
    """Whether a row that the zeros begin in is filled up to there, and the rows before it are to their end."""
    row, before, above = (rows.row(last - back) for back in range(3))
    end = int(np.flatnonzero(row)[-1]) + 1
    end = min(rows.used, -(-end // rows.pixel) * rows.pixel)
    near = _PIXELS * rows.pixel
    if end < near or rows.used - end < near:
        return False
    if not rows.levels:
        row, before, above = (np.where(one, np.uint8(255), np.uint8(0)) for one in (row, before, above))
    bright = float(before[end:].mean())
    filled = min(_shown(rows, part) for part in (row[:end], before, above))
    jump = np.abs(row[:end].astype(np.int16) - before[:end]).mean()
    at_edge = float(row[end - near : end].mean()) >= float(before[end - near : end].mean()) / 2
    return filled >= _FILLED and bright >= _BRIGHT and at_edge and float(jump) < bright / 2


def _shown(rows: Rows, row: Row) -> float:
    """The share of pixels that are not zero."""
    whole = row[: len(row) // rows.pixel * rows.pixel].reshape(-1, rows.pixel)
    return float(whole.any(axis=1).mean()) if len(whole) else 0.0
