"""A document of several pages that broke off is truncated, though its first page is whole."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile

from tasks.images import BadImage, decode_with_media
from tests.hostile.files import frames
from tests.hostile.picture import base, encoded, tiff_structure


def by_pillow(**options: Any) -> bytes:
    first, *others = frames()
    return encoded(first, "TIFF", save_all=True, append_images=others, **options)


def by_tifffile(*, big: bool = False, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, bigtiff=big) as writer:
        for one in frames():
            writer.write(np.asarray(one), photometric="rgb", **options)
    return buffer.getvalue()


DOCUMENTS = {
    "plain": by_pillow(), "lzw": by_pillow(compression="tiff_lzw"), "directories": by_tifffile(),
    "big": by_tifffile(big=True), "tiles": by_tifffile(tile=(64, 64)),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_a_part_of_a_document_is_truncated(name: str) -> None:
    data = DOCUMENTS[name]
    assert decode_with_media(data)[1].frames == 4
    assert decode_with_media(data + b"trailer" * 9)[1].frames == 4
    for share in (30, 50, 75, 90, 98):
        with pytest.raises(BadImage) as refused:
            decode_with_media(data[: len(data) * share // 100])
        assert refused.value.code == "truncated", share


def page(following: int, more: dict[int, Any] | None = None) -> bytes:
    image = base()
    data = tiff_structure([{
        256: (4, [image.width]), 257: (4, [image.height]), 258: (3, [8, 8, 8]), 259: (3, [1]), 262: (3, [2]),
        273: (4, [8]), 277: (3, [3]), 278: (4, [image.height]), 279: (4, [image.width * image.height * 3]),
        **(more or {}),
    }], image.tobytes())  # fmt: skip
    return data[:-4] + struct.pack("<I", following)  # the link is the last thing in it


def test_a_link_that_leads_nowhere_needs_an_excuse() -> None:
    for following in (len(page(0)) + 200, 0xFFFFFFF0):
        with pytest.raises(BadImage, match="page 2 is behind the end") as refused:
            decode_with_media(page(following))
        assert refused.value.code == "truncated"
        assert decode_with_media(page(following, {297: (3, [0, 1])}))[1].frames == 1  # one page of one
        with pytest.raises(BadImage, match="page 2 is behind the end"):
            decode_with_media(page(following, {297: (3, [0, 2])}))
    assert decode_with_media(page(0))[1].frames == 1
    assert decode_with_media(page(10))[1].width == base().width  # into the pixels, which are no directory
