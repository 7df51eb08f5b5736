"""JSON lines, COCO's captions and arrays of objects."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from tests.unit.vectordb.readers.reading import broken, read, written
from vectordb.readers import source_of

CAPTIONS = [f"a photo of thing {i}" for i in range(3000)]
LINES = "".join(json.dumps({"url": "http://x", "caption": text}) + "\n" for text in CAPTIONS)
COCO: dict[str, Any] = {
    "info": {"year": 2017},
    "images": [{"id": i, "file_name": f"{i}.jpg"} for i in range(100)],
    "annotations": [{"image_id": i, "id": i, "caption": text} for i, text in enumerate(CAPTIONS)],
}


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json", "unnamed"])
def test_a_line_is_an_object(tmp_path: Path, name: str) -> None:
    """Whatever the file is called, one object a line is seen as such."""
    assert read(written(tmp_path / name, LINES)) == CAPTIONS


def test_the_first_object_decides_the_field(tmp_path: Path) -> None:
    """The likeliest name, else the only text; null, a missing field and blank lines are no faults."""
    path = written(tmp_path / "a.jsonl", '{"TEXT": "a cat", "n": NaN}\n\n{"n": 1}\r\n{"TEXT": null}\n{"TEXT": "fox"}')
    assert read(path) == ["a cat", "", "", "fox"]
    assert read(written(tmp_path / "b.jsonl", '{"url": "http://x", "said": "a cat"}\n')) == ["a cat"]
    assert read(written(tmp_path / "c.jsonl", '{"caption": "no", "said": "a cat"}\n'), column="said") == ["a cat"]


def test_escapes_are_resolved(tmp_path: Path) -> None:
    """Half of a surrogate pair, which other writers leave, is kept for the cleaning to remove."""
    path = written(tmp_path / "a.jsonl", r'{"text": "caf\u00e9 \ud83d\ude00"}' + "\n" + r'{"text": "half \ud83d"}')
    assert read(path) == ["café 😀", "half \ud83d"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"caption": "a', "JSON"),
        ("[1]", "not a JSON object but list"),
        ('{"caption": 5}', "'caption' holds int"),
        ("[" * 100_000, "JSON"),
    ],
)
def test_a_line_that_is_no_caption_stops_at_its_number(tmp_path: Path, line: str, said: str) -> None:
    """Everything before it is given."""
    texts, fault = broken(written(tmp_path / "a.jsonl", f"{LINES}\n{line}\n{LINES}"))
    assert texts == CAPTIONS
    assert fault.position == "line 3002"
    assert said in fault.fault


def test_a_missing_field_is_answered_with_those_there_are(tmp_path: Path) -> None:
    """Named or not."""
    path = written(tmp_path / "a.jsonl", '{"url": "http://x", "n": 5}\n')
    assert "url, n" in broken(path)[1].fault
    assert "no field 'caption'; the fields are: url, n" in broken(path, column="caption")[1].fault


@pytest.mark.parametrize("name", ["captions.json", "captions.json.gz", "unnamed"])
def test_coco_gives_its_annotations(tmp_path: Path, name: str) -> None:
    """On one line or on many, packed or not, with a byte order mark or without."""
    for data in [json.dumps(COCO).encode(), b"\xef\xbb\xbf\n" + json.dumps(COCO, indent=1).encode()]:
        assert read(written(tmp_path / name, gzip.compress(data) if name.endswith("gz") else data)) == CAPTIONS


def test_an_array_of_objects_is_read_too(tmp_path: Path) -> None:
    """Lists of captions made by models come like this."""
    rows = [{"url": "http://x", "caption": text} for text in CAPTIONS]
    assert read(written(tmp_path / "a.json", json.dumps(rows))) == CAPTIONS
    assert read(written(tmp_path / "b.json", "[]")) == []


def test_coco_that_is_cut_off_gives_what_came_before(tmp_path: Path) -> None:
    """The fault names the last item before it."""
    data = json.dumps(COCO)
    texts, fault = broken(written(tmp_path / "a.json", data[: len(data) // 2]))
    assert len(texts) > 1000
    assert texts == CAPTIONS[: len(texts)]
    assert fault.position == f"after item {len(texts)}"


def test_damage_in_the_middle_of_coco_loses_next_to_nothing(tmp_path: Path) -> None:
    """What stands before it in the file is given, but for the block of 16 KiB that holds it."""
    data = json.dumps(COCO).replace("thing 2000", 'thing" 2000')
    texts, fault = broken(written(tmp_path / "a.json", data))
    assert texts == CAPTIONS[: len(texts)]
    assert 1700 < len(texts) <= 2000
    assert "JSON" in fault.fault


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ('{"images": []}', "annotations"),
        ("a cat\n", "not a JSON object"),
        ('{"annotations": [5]}', "it holds int"),
        ('{"annotations": [{"caption": 5}]}', "caption: numbers, such as '5'"),
        ('{"annotations": [{"bbox": 5}]}', "bbox"),
        ("", "not a JSON object"),
    ],
)
def test_other_json_is_refused(tmp_path: Path, data: str, said: str) -> None:
    """With the reason."""
    assert said in broken(written(tmp_path / "a.json", data), format="coco")[1].fault


def test_json_of_any_size_needs_little_memory(tmp_path: Path) -> None:
    """Lists before the captions are passed over; a string of 50 MB is refused, not held."""
    many = json.dumps({"images": COCO["images"] * 300, "annotations": COCO["annotations"] * 10})
    source = source_of([written(tmp_path / "a.json", many)])
    huge = source_of([written(tmp_path / "b.json", '{"annotations": [{"caption": "' + "x" * 50_000_000 + '"}]}')])
    del many
    tracemalloc.start()
    assert sum(len(rows.texts) for rows in source.read()) == 10 * len(CAPTIONS)
    with pytest.raises(Exception, match="longer than"):
        list(huge.read())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000
