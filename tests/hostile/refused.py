"""Made TIFF files whose pixels nobody reads right: refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from tests.hostile.depths import WIDE_RGB
from tests.hostile.layouts import written
from tests.hostile.picture import HEIGHT, WIDTH, Case, base, rgb_array, tiff_structure


def cases() -> Iterator[Case]:
    complex_ = (rgb_array()[..., 0] + 1j).astype(np.complex64)
    yield Case("complex.tif", partial(written, complex_, photometric="minisblack"), "unsupported", says="complex")
    bands = np.dstack([WIDE_RGB, WIDE_RGB])
    yield Case(
        "six-greys.tif",
        partial(written, bands, photometric="minisblack", planarconfig="contig"),
        "unsupported",
        says="6 × 16-bit unsigned",
    )
    yield Case("unknown-compression.tif", partial(_changed, 259, 64999), "unsupported", says="64999")
    yield Case("unknown-photometric.tif", partial(_changed, 262, 999), "unsupported", says="999")
    yield Case("logluv.tif", partial(_changed, 262, 32845), "unsupported", says="LogLuv")
    yield Case("several-depths.tif", partial(_changed, 258, [8, 4, 8]), "unsupported", says="several depths")


def _changed(tag: int, value: int | list[int]) -> bytes:
    values = value if isinstance(value, list) else [value]
    return tiff_structure([{
        256: (4, [WIDTH]), 257: (4, [HEIGHT]), 258: (3, [8, 8, 8]), 259: (3, [1]), 262: (3, [2]), 273: (4, [8]),
        277: (3, [3]), 278: (4, [HEIGHT]), 279: (4, [WIDTH * HEIGHT * 3]), tag: (3, values),
    }], base().tobytes())  # fmt: skip
