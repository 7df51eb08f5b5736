"""The output folder of img2dataset is one source, in each of its layouts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.vectordb.readers.reading import read, written
from tests.unit.vectordb.readers.test_parquet import table
from tests.unit.vectordb.readers.test_webdataset import tar
from vectordb.readers import source_of

CAPTIONS = [f"a photo of thing {i}" for i in range(40)]
FAILED = {3, 17, 30}


def output(folder: Path, layout: str, *, tables: bool = True) -> Path:
    """Two shards, of which some downloads failed."""
    for shard in range(2):
        numbers = range(20 * shard, 20 * shard + 20)
        keys = [f"{shard:05}{i:04}" for i in numbers]
        if tables:
            columns = {
                "url": [f"https://x.org/{i}.jpg" for i in numbers], "key": keys,
                "caption": [CAPTIONS[i] for i in numbers],
                "status": ["failed_to_download" if i in FAILED else "success" for i in numbers],
                "error_message": ["HTTP Error 404: Not Found" if i in FAILED else None for i in numbers],
            }  # fmt: skip
            table(folder / f"{shard:05}.parquet", columns)
        written(folder / f"{shard:05}_stats.json", json.dumps({"count": 20, "status_dict": {"success": 18}}))
        members: list[tuple[str, bytes]] = []
        for key, i in zip(keys, numbers, strict=True):
            if i not in FAILED:
                sidecar = json.dumps({"caption": CAPTIONS[i], "key": key, "url": "https://x.org"}).encode()
                members += [
                    (f"{key}.jpg", b"\xff\xd8"),
                    (f"{key}.json", sidecar),
                    (f"{key}.txt", CAPTIONS[i].encode()),
                ]
        if layout == "webdataset":
            written(folder / f"{shard:05}.tar", tar(members))
        else:
            for name, data in members:
                written(folder / f"{shard:05}" / name, data)
    return folder


@pytest.mark.parametrize("tables", [True, False])
@pytest.mark.parametrize("layout", ["webdataset", "files"])
def test_each_layout_gives_the_same_captions(tmp_path: Path, layout: str, tables: bool) -> None:
    """Failed downloads are left out; where the table names them, they are counted."""
    source = source_of([output(tmp_path, layout, tables=tables)])
    assert source.format == "img2dataset"
    pieces = list(source.read())
    texts = [text for rows in pieces for at, text in enumerate(rows.texts) if at not in rows.skipped]
    assert texts == [text for i, text in enumerate(CAPTIONS) if i not in FAILED]
    left_out = [one for rows in pieces for one in rows.skipped.values()]
    assert {one.reason for one in left_out} == ({"failed"} if tables else set())
    assert len(left_out) == (len(FAILED) if tables else 0)


def test_numbered_tables_alone_are_tables(tmp_path: Path) -> None:
    """A folder of Parquet files is no output of img2dataset."""
    table(tmp_path / "00000.parquet", {"caption": CAPTIONS})
    assert source_of([tmp_path]).format == "parquet"
    assert read(tmp_path) == CAPTIONS
