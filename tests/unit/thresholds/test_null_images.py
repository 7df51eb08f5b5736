"""Images of nothing are the same in every process, of each kind, and as large as the encoder's input."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.images.featureless import is_featureless
from tasks.thresholds.null_images import EACH, null_images


@pytest.mark.parametrize(("side", "drawn"), [(32, 64), (96, 96), (100, 96)])
def test_each_kind_has_its_images(side: int, drawn: int) -> None:
    found = null_images(side)
    assert list(found) == ["noise", "one colour", "blur", "shuffled patches", "blank page", "text page"]
    for kind, images in found.items():
        assert len(images) == EACH
        assert {image.mode for image in images} == {"RGB"}
        assert {image.size for image in images} <= {(drawn, drawn), (side, side)}
        assert len({image.tobytes() for image in images}) == EACH, kind
    assert {kind: [image.tobytes() for image in images] for kind, images in found.items()} == {
        kind: [image.tobytes() for image in images] for kind, images in null_images(side).items()
    }


def test_what_has_no_features_has_none_and_pages_of_text_have_lines() -> None:
    found = null_images(224)
    for kind in ("one colour", "blur", "blank page"):
        assert all(map(is_featureless, found[kind])), kind
    for image in found["text page"]:
        dark = np.asarray(image.convert("L")) < 128
        assert 0.02 < dark.mean() < 0.4
