"""Perceptual hashes: 256 bits that copies of a picture share, whatever their size, compression and brightness.

A bit is the sign of one of the 16 x 16 lowest frequencies of the grey picture, by a discrete cosine transform (as in
pHash and PDQ). Turning or mirroring a picture swaps frequencies or changes their signs, so the hashes of all eight
orientations follow from one. A hash is four words of 64 bits: the first holds the 8 x 8 lowest frequencies, by which
candidates are found, the others hold the details. Chosen by measurement: ops/decisions/0027-duplicates.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from tasks.images.small_grey import CELLS, SmallGrey

Words = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]

WORDS: Final = 4
PARTS: Final = (22, 22, 20)  # bits of a word, from the lowest: each part turns within itself
# What was done to a picture, in the order of ``variants``. Mirrored: left and right swapped, before it was rotated.
# Rotated: clockwise.
TRANSFORMS: Final = (
    "same", "mirrored", "rotated 180°", "mirrored, rotated 180°",
    "mirrored, rotated 270°", "rotated 90°", "mirrored, rotated 90°", "rotated 270°",
)  # fmt: skip

_COARSE, _FINE = 8, 16  # frequencies in each direction
_SHOWN, _LEAST_SHOWN = 0.25, 24  # levels of 0 to 255; coarse frequencies of that amplitude that a picture must have
# small parts: share of the variance that the coarse frequencies lack, share of cells like the background, in levels
_LACKING, _BACKGROUND, _LIKE = 0.35, 0.5, 24
_MARK = (0, 0)  # the place of the mean, whose sign says nothing


def _layout() -> list[tuple[int, int]]:
    """The vertical and the horizontal frequency of each bit.

    Two frequencies that transposition swaps lie side by side. The first word has 64 frequencies without the mean.
    """
    swapped = [(u, v) for u in range(_FINE) for v in range(u + 1, _FINE)]
    swapped.sort(key=lambda pair: (sum(pair), pair))
    coarse = [pair for pair in swapped if pair[1] < _COARSE]
    fine = [pair for pair in swapped if pair[1] >= _COARSE]
    unswapped = iter([(at, at) for at in range(1, _FINE)] + [_MARK])
    # each has its pairs, and as many others as there is room for
    groups = [(coarse[at::3], bits) for at, bits in enumerate(PARTS)]
    groups += [(fine[:28], 64), (fine[28:60], 64), (fine[60:], 64)]
    layout: list[tuple[int, int]] = []
    for pairs, bits in groups:
        layout += [one for u, v in pairs for one in ((u, v), (v, u))]
        layout += [next(unswapped) for _ in range(bits - 2 * len(pairs))]
    return layout


_VERTICAL, _HORIZONTAL = np.array(_layout()).T


def _packed(bits: npt.NDArray[np.bool_]) -> Words:
    """The words (4,) of 256 bits."""
    return np.packbits(bits, bitorder="little").view("<u8").astype(np.uint64)


_ODD_VERTICAL, _ODD_HORIZONTAL = _packed(_VERTICAL % 2 == 1), _packed(_HORIZONTAL % 2 == 1)
_FLIPS = np.stack([0 * _ODD_VERTICAL, _ODD_HORIZONTAL, _ODD_VERTICAL ^ _ODD_HORIZONTAL, _ODD_VERTICAL])
_UP, _DOWN, _KEPT = map(_packed, (_VERTICAL < _HORIZONTAL, _VERTICAL > _HORIZONTAL, _VERTICAL == _HORIZONTAL))
_MARKED = _packed((_VERTICAL + _HORIZONTAL) == 0)


def _waves() -> Floats:
    """(frequencies, cells): cosines that give a sum of squares of 1 each, and amplitudes in levels."""
    cells, frequencies = np.arange(CELLS), np.arange(_FINE)[:, None]
    waves: Floats = np.cos(np.pi * (2 * cells + 1) * frequencies / (2 * CELLS)) / CELLS
    waves[1:] *= np.sqrt(2)
    return waves


_WAVES = _waves()


def perceptual_hash(image: Image.Image, small: SmallGrey | None = None) -> bytes | None:
    """The hash of an upright RGB image of any size, 32 bytes; ``None`` if it shows too little to have one.

    The whole image counts, squeezed to a square: very long images, too, which encoders see through windows. Of an
    animation the frame counts that ``decode`` returns, of a video its first view. ``small``: of the image, if it is
    there already.
    """
    # BOX would treat left and right differently
    cells = (small or SmallGrey(image)).cells(Image.Resampling.HAMMING)
    amplitudes = _WAVES @ cells @ _WAVES.T
    amplitudes[_MARK] = 0
    coarse = amplitudes[:_COARSE, :_COARSE]
    if np.count_nonzero(np.abs(coarse) > _SHOWN) < _LEAST_SHOWN:
        return None
    bits = amplitudes > 0
    bits[_MARK] = _shows_small_parts(cells, coarse)
    return _packed(bits[_VERTICAL, _HORIZONTAL]).astype("<u8").tobytes()


def _shows_small_parts(cells: Floats, coarse: Floats) -> bool:
    """Whether small things on a plain background are most of what is to be seen."""
    # levels are whole numbers, so that both sums are exact; a fifth of the time of ``cells.var()``
    total, squares = float(cells.sum()), float(np.vdot(cells, cells))
    lacking = 1 - float(np.vdot(coarse, coarse)) / (squares / cells.size - (total / cells.size) ** 2)
    return lacking > _LACKING and float((np.abs(cells - np.median(cells)) <= _LIKE).mean()) > _BACKGROUND


def words_of(hashes: Sequence[bytes | None]) -> Words:
    """The words (n, 4) of n hashes, zeros for ``None``. Raises ``ValueError`` for one that is not 32 bytes long."""
    empty = bytes(8 * WORDS)
    if any(len(one) != len(empty) for one in hashes if one is not None):
        raise ValueError(f"a perceptual hash has {len(empty)} bytes")
    joined = b"".join(empty if one is None else one for one in hashes)
    return np.frombuffer(joined, "<u8").reshape(-1, WORDS).astype(np.uint64)


def variants(words: Words) -> Words:
    """The hashes (8, n, 4) of n pictures (n, 4) in all orientations, in the order of ``TRANSFORMS``.

    They differ from the hashes of the turned pictures by a few bits, those of frequencies that the picture lacks.
    """
    return np.stack([word_variants(words[:, word], word) for word in range(WORDS)], axis=-1)


def word_variants(values: Words, word: int) -> Words:
    """One word (8, n) of n pictures in all orientations. ``values``: (n,). ``word``: which one it is."""
    one = np.uint64(1)
    transposed = (values & _KEPT[word]) | ((values & _UP[word]) << one) | ((values & _DOWN[word]) >> one)
    flips = _FLIPS[:, word, None]
    return np.concatenate([values ^ flips, transposed ^ flips])


def has_small_parts(words: Words) -> npt.NDArray[np.bool_]:
    """(n,): which pictures show mostly small parts on a plain background, such as text.

    Pages or forms of one layout have the same first word. ``words``: (n, 4).
    """
    marked: npt.NDArray[np.bool_] = np.any(words & _MARKED, axis=1)
    return marked
