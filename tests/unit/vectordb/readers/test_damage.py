"""Whatever happens to a file on its way, reading it ends with rows or with a ``BadSource``, and with nothing else."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.unit.vectordb.readers.reading import written
from tests.unit.vectordb.readers.test_parquet import arrow, lists, table
from tests.unit.vectordb.readers.test_webdataset import tar
from tests.unit.vectordb.readers.test_wordnet import data_noun
from vectordb import zstd
from vectordb.readers import BadSource, source_of

CAPTIONS = [f"a photo of thing {i}" for i in range(40)]
VECTORS = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
TEXT = "".join(f"{text}\n" for text in CAPTIONS).encode()


def _clip_retrieval(path: Path) -> None:
    (path.parent.parent / "metadata").mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(exist_ok=True)
    np.save(path, VECTORS)
    table(path.parent.parent / "metadata" / "metadata_0.parquet", {"caption": CAPTIONS})


def _faiss(path: Path) -> None:
    (path.parent / "metadata").mkdir(exist_ok=True)
    arrow(path.parent / "metadata" / "0.arrow", {"caption": CAPTIONS})
    head = b"IxFI" + np.array([4, 40, 0, 1 << 20, 0, 1 << 20, 0], "<i4").tobytes() + b"\1\0\0\0\0"
    written(path, head + np.array([160, 0], "<i4").tobytes() + VECTORS.tobytes())


MAKERS: dict[str, Callable[[Path], object]] = {
    "a.txt": lambda path: written(path, TEXT),
    "a.txt.gz": lambda path: written(path, gzip.compress(TEXT)),
    "a.txt.zst": lambda path: written(path, zstd.compress(TEXT)),
    "a.csv": lambda path: written(path, "id,caption\n" + "".join(f'{i},"{c}"\n' for i, c in enumerate(CAPTIONS))),
    "a.tsv": lambda path: written(path, "".join(f"{c}\thttp://x/{i}\n" for i, c in enumerate(CAPTIONS))),
    "a.jsonl": lambda path: written(path, "".join(json.dumps({"caption": c}) + "\n" for c in CAPTIONS)),
    "a.json": lambda path: written(path, json.dumps({"annotations": [{"caption": c} for c in CAPTIONS]})),
    "a.parquet": lambda path: table(path, {"text": CAPTIONS, "vector": lists(VECTORS)}, row_group_size=20),
    "a.arrow": lambda path: arrow(path, {"text": CAPTIONS, "vector": lists(VECTORS)}),
    "stream.arrow": lambda path: arrow(path, {"text": CAPTIONS}, streamed=True),
    "a.tar": lambda path: written(path, tar([(f"{i}.txt", c.encode()) for i, c in enumerate(CAPTIONS)])),
    "data.noun": lambda path: written(path, data_noun()),
    "text_emb/text_emb_0.npy": _clip_retrieval,
    "text.index": _faiss,
}


@pytest.mark.parametrize("name", MAKERS)
def test_damage_gives_rows_or_a_fault(tmp_path: Path, name: str) -> None:
    """150 files of each kind, cut, with changed bytes, with a hole, or with rubbish at the end."""
    chance = random.Random(name)
    path = tmp_path / name
    place = tmp_path if "/" in name else path
    MAKERS[name](path)
    whole = path.read_bytes()
    formats = source_of([place]).format
    assert sum(len(rows.texts) for rows in source_of([place]).read()) == (5 if name == "data.noun" else 40)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 1, 3, 20])):
            at = chance.randrange(len(data)) if data else 0
            match chance.randrange(4):
                case 0:
                    del data[at:]
                case 1:
                    data[at : at + 1] = chance.randbytes(1)
                case 2:
                    del data[at : at + chance.randrange(100)]
                case _:
                    data += chance.randbytes(chance.randrange(100))
        written(path, bytes(data))
        for format in (formats, None):  # noqa: A001 -- the argument's name
            try:
                rows = list(source_of([place], format=format).read())
            except BadSource as fault:
                assert str(fault).startswith(str(tmp_path))  # noqa: PT017 -- that nothing else is raised is the test
            else:
                assert all(isinstance(text, str) for piece in rows for text in piece.texts)
