"""The keys of artifacts lead back to their objects, and label maps name them."""

from __future__ import annotations

import io
import zlib

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from workers.segmentation.artifact_names import FOLDER, KEY, METHOD, is_digest, keys_of, name_in, texts_of

OUT = ".wildtag/"


@pytest.mark.parametrize("key", ["a.png", "b/ä ö.jpg", "x" * 200, "a", ".png"])
def test_the_key_of_an_artifact_has_that_of_its_object(key: str) -> None:
    artifacts = keys_of(OUT, key)
    assert name_in(OUT, artifacts.label_map) == name_in(OUT, artifacts.overlay) == key
    assert not is_digest(key)


@pytest.mark.parametrize("key", ["x" * 201, "a/" * 460, "a.labels.png", "b.overlay.jpg/c", "0" * 64])
def test_or_a_digest(key: str) -> None:
    name = name_in(OUT, keys_of(OUT, key).label_map)
    assert name is not None
    assert is_digest(name)
    assert name != key


@pytest.mark.parametrize(
    "key", ["a.labels.png", f"{OUT}{FOLDER}a.png", f"{OUT}{FOLDER}.labels.png", f"{OUT}a.labels.png"]
)
def test_other_keys_are_of_no_object(key: str) -> None:
    assert name_in(OUT, key) is None


def test_texts_are_read_without_decoding() -> None:
    texts, file = PngInfo(), io.BytesIO()
    texts.add_itxt(KEY, "ä/b.png")
    texts.add_itxt(METHOD, "regions")
    texts.add_itxt("packed", "x" * 100, zip=True)
    texts.add_text("latin", "y")
    Image.new("P", (3, 3)).save(file, "PNG", pnginfo=texts)
    png = file.getvalue()
    assert texts_of(png) == {KEY: "ä/b.png", METHOD: "regions"}
    assert all(set(texts_of(png[:size])) <= {KEY, METHOD} for size in range(len(png))), "however it is cut off"
    assert texts_of(b"") == texts_of(b"GIF89a") == texts_of(zlib.compress(png)) == {}
