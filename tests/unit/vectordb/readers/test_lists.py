"""Lists of captions in a row: all of them are read, in every format that can hold them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # no annotations
import pytest

from tests.unit.vectordb.readers.reading import broken, read, written
from tests.unit.vectordb.readers.test_parquet import table
from tests.unit.vectordb.readers.test_webdataset import tar
from vectordb.readers import source_of

CAPTIONS = [f"a photo of thing {i}, seen from above" for i in range(60)]
FIVES = [CAPTIONS[i : i + 5] for i in range(0, 60, 5)]


def karpathy() -> dict[str, object]:
    """The layout of Karpathy's splits."""
    images = [
        {
            "filename": f"{i}.jpg", "split": "train", "imgid": i, "sentids": [0, 1, 2, 3, 4],
            "sentences": [{"raw": text, "tokens": text.split(), "imgid": i, "sentid": 0} for text in five],
        }
        for i, five in enumerate(FIVES)
    ]  # fmt: skip
    return {"images": images, "dataset": "flickr8k"}


@pytest.mark.parametrize(
    "value",
    [
        karpathy(),
        {"dataset": "flickr8k", **karpathy()},
        [{"image": f"{i}.jpg", "captions": five} for i, five in enumerate(FIVES)],
        {"data": [{"image": f"{i}.jpg", "caption": five} for i, five in enumerate(FIVES)]},
        {f"{i}.jpg": five for i, five in enumerate(FIVES)},
        {f"{i}.jpg": [{"raw": text} for text in five] for i, five in enumerate(FIVES)},
        {"licence": "CC0", "captions": CAPTIONS},
        CAPTIONS,
        FIVES,
        {"images": [{"id": 1, "file_name": "1.jpg", "license": 2}], "licenses": [{"id": 2, "name": "CC BY 4.0"}],
         "annotations": [{"image_id": 1, "caption": text} for text in CAPTIONS]},
    ],
)  # fmt: skip
def test_json_of_any_layout(tmp_path: Path, value: object) -> None:
    """On one line or on many."""
    for indent in (None, 1):
        assert read(written(tmp_path / "a.json", json.dumps(value, indent=indent))) == CAPTIONS


@pytest.mark.parametrize(
    "rows",
    [
        [{"image": f"{i}.jpg", "captions": five} for i, five in enumerate(FIVES)],
        [{"image": f"{i}.jpg", "sentences": [{"raw": text} for text in five]} for i, five in enumerate(FIVES)],
        [{"image": f"{i}.jpg", "tokens": ["a", "b"], "said": five} for i, five in enumerate(FIVES)],
        [{"key": i, **{f"caption_{j}": text for j, text in enumerate(five)}} for i, five in enumerate(FIVES)],
        [{"image": f"{i}.jpg", "raw": json.dumps(five)} for i, five in enumerate(FIVES)],
        FIVES,
    ],
)
def test_json_lines(tmp_path: Path, rows: list[object]) -> None:
    """Lists of texts or of objects, numbered fields, lists that were written as text."""
    assert read(written(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))) == CAPTIONS


@pytest.mark.parametrize("write", [json.dumps, repr, lambda five: "[" + "\n ".join(map(repr, five)) + "]"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_lists_that_were_written_as_text_in_a_table(tmp_path: Path, write: object, mark: str) -> None:
    """As JSON, Python and NumPy write them; one that is none is left out and named."""
    assert callable(write)
    fives = [[f'{text} "{i}" it\'s' for i, text in enumerate(five)] for five in FIVES]
    lines = ["raw", *('"' + write(five).replace('"', '""') + f'"{mark}{i}.jpg' for i, five in enumerate(fives))]
    lines[0] += f"{mark}file"
    path = written(tmp_path / "a.csv", "\n".join([*lines, f'"[""a cat"", oh"{mark}7.jpg']) + "\n")
    pieces = list(source_of([path]).read())
    assert [text for rows in pieces for text in rows.texts] == [*(text for five in fives for text in five), ""]
    (left_out,) = [one for rows in pieces for one in rows.skipped.values()]
    assert left_out.reason == "bad_list"


@pytest.mark.parametrize("kind", ["texts", "objects", "written"])
def test_parquet(tmp_path: Path, kind: str) -> None:
    """Lists of texts or of objects, and lists that were written as text; an empty list is an empty caption."""
    kinds: dict[str, list[Any]] = {
        "texts": [*FIVES, [], None],
        "objects": [*([{"raw": text, "id": 1} for text in five] for five in FIVES), [], None],
        "written": [*map(json.dumps, FIVES), "[]", None],
    }  # fmt: skip
    values = kinds[kind]
    names = [f"{i}.jpg" for i in range(len(values))]
    path = table(tmp_path / "a.parquet", {"filename": names, "image": [b"\xff\xd8"] * len(values), "raw": values})
    assert read(path) == [*CAPTIONS, "", ""]
    assert read(path, column="raw") == [*CAPTIONS, "", ""]


def test_a_vector_belongs_to_one_caption(tmp_path: Path) -> None:
    """A row with five captions and one vector is refused."""
    vectors = pa.array([[1.0, 2.0]] * len(FIVES))
    path = table(tmp_path / "a.parquet", {"caption": FIVES, "vector": vectors})
    assert "do not belong together" in broken(path)[1].fault


def test_archives(tmp_path: Path) -> None:
    """A sample's .json may hold a list."""
    members = [(f"{i}.json", json.dumps({"captions": five, "key": f"{i}"}).encode()) for i, five in enumerate(FIVES)]
    assert read(written(tmp_path / "a.tar", tar(members))) == CAPTIONS
