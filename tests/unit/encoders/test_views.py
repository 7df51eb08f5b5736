"""Pictures with several views: one call of the encoder, and the normalised mean of a picture's vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from tasks.encoders.protocols import Floats
from tasks.encoders.views import encoded_views

COLOURS = {"red": (1.0, 0.0, 0.0), "lime": (0.0, 1.0, 0.0), "blue": (0.0, 0.0, 1.0)}
CALLS: list[int] = []


def encode(images: Sequence[Image.Image]) -> Floats:
    CALLS.append(len(images))
    return np.array([np.asarray(image)[0, 0] / 255 for image in images], dtype=np.float32)


def one(colour: str) -> Image.Image:
    return Image.new("RGB", (4, 4), colour)


def test_the_mean_of_the_views_is_normalised_and_a_single_view_stays() -> None:
    CALLS.clear()
    vectors = encoded_views([[one("red")], [one("red"), one("blue")], [one("lime")]], encode)
    assert CALLS == [4]
    half = np.sqrt(0.5)
    assert np.allclose(vectors, [(1, 0, 0), (half, 0, half), (0, 1, 0)])
    assert np.array_equal(vectors[[0, 2]], encode([one("red"), one("lime")]))
    assert np.array_equal(encoded_views([[one("blue")]], encode), encode([one("blue")]))


def test_opposite_views_have_no_direction() -> None:
    (vector,) = encoded_views([[one("red"), one("blue")]], lambda _: np.array([[1, 0], [-1, 0]], dtype=np.float32))
    assert np.array_equal(vector, [0, 0])
