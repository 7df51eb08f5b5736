"""A large JPEG becomes the input of a model in three ways, each of which is timed."""

from __future__ import annotations

from ops.bench.decoding import large, large_compared
from workers.settings.settings import Settings
from workers.wiring.models import decoders


def test_a_large_jpeg_is_decoded_in_three_ways() -> None:
    pool = decoders(Settings())
    try:
        found = large_compared(large((800, 600)), 1, pool)
    finally:
        pool.close()
    assert set(found["ratio"]) == {"here", "there"}
    assert all(one["least"] > 0 for one in found["ms"].values())
