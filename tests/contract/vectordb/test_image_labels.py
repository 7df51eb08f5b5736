"""Labels of images are written where they changed, in every home."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.contract.vectordb.test_image_index import home as home  # noqa: PLC0414 -- a fixture
from tests.contract.vectordb.test_image_index import index as index  # noqa: PLC0414 -- a fixture
from tests.contract.vectordb.test_image_index import rows
from vectordb.images import ImageEntry, ImageIndex, ImageLabels


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        (("cat", "pet"), {"cat": 0.5}),
        (("cat",), {"cat": 0.75}),
        (("cat",), {"dog": 0.5}),
        (("cat",), {"cat": 0.5, "dog": 0.5}),
        (("cat",), {}),
        ((), {"cat": 0.5}),
        (("cat",), {"cat": 0.5}),
    ],
    ids=["tags", "weight", "word", "more words", "no words", "no tags", "nothing"],
)
def test_labels_of_which_anything_changed_are_stored(
    index: ImageIndex, tags: tuple[str, ...], words: dict[str, float]
) -> None:
    entry = ImageEntry("photos", "a.jpg", "e1")
    index.put([entry], rows(1))
    index.label([ImageLabels("photos", "a.jpg", "e1", ("cat",), {"cat": 0.5})])
    index.label([ImageLabels("photos", "a.jpg", "e1", tags, words)])
    assert index.get([entry.id])[0] == [replace(entry, tags=tags)]
    for word in ("cat", "dog"):
        assert index.search_words({word: 1.0}, 5).scores == ((words[word],) if word in words else ())
