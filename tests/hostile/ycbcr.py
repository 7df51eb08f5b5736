"""Made TIFF files of YCbCr that is not compressed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from tests.hostile.picture import HEIGHT, WIDTH, Case, base, tiff_structure


def cases() -> Iterator[Case]:
    for across, down in ((2, 1), (2, 2), (4, 2)):
        make = partial(_shared, across, down)
        yield Case(f"ycbcr-{across}-{down}.tif", make, looks=base, within=5)
    ways: dict[str, dict[str, Any]] = {"strips": {"rows": 12}, "tiled": {"tile": 64}, "big-endian": {"order": ">"}}
    for name, options in ways.items():
        yield Case(f"ycbcr-2-2-{name}.tif", partial(_shared, 2, 2, **options), looks=base, within=5)
    yield Case("ycbcr-2-2-by-default.tif", partial(_shared, 2, 2, tagged=False), looks=base, within=5)
    yield Case("ycbcr-1-1-without-a-tag.tif", partial(_shared, 1, 1, tagged=False), looks=base, within=2)


def _shared(across: int, down: int, *, tile: int = 0, rows: int = HEIGHT, tagged: bool = True, **more: Any) -> bytes:
    """YCbCr whose pixels share colours, not compressed (TIFF 6.0, section 21), in strips or tiles."""
    ycc = np.asarray(base().convert("YCbCr"))
    parts = []
    wide, high = (tile, tile) if tile else (-(-WIDTH // across) * across, rows)
    for top in range(0, HEIGHT, high):
        for left in range(0, WIDTH, wide):
            part = ycc[top : top + high, left : left + wide]
            missing = (high - part.shape[0], wide - part.shape[1]) if tile else (-part.shape[0] % down, 0)
            part = np.pad(part, ((0, missing[0]), (0, wide - part.shape[1]), (0, 0)), mode="edge")
            blocks = part.reshape(part.shape[0] // down, down, wide // across, across, 3).transpose(0, 2, 1, 3, 4)
            light = blocks[..., 0].reshape(*blocks.shape[:2], -1)
            colour = blocks[..., 1:].mean(axis=(2, 3)).round()
            parts.append(np.concatenate([light, colour], axis=2).astype(np.uint8).tobytes())
    sizes = [len(part) for part in parts]
    places = [8 + sum(sizes[:at]) for at in range(len(sizes))]
    where = (
        {322: (3, [tile]), 323: (3, [tile]), 324: (4, places), 325: (4, sizes)}
        if tile
        else {273: (4, places), 278: (4, [rows]), 279: (4, sizes)}
    )
    return tiff_structure([{
        256: (4, [WIDTH]), 257: (4, [HEIGHT]), 258: (3, [8, 8, 8]), 259: (3, [1]), 262: (3, [6]), 277: (3, [3]),
        **where,
        **({530: (3, [across, down])} if tagged else {}),
    }], b"".join(parts), **more)  # fmt: skip
