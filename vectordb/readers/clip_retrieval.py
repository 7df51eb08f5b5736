"""The output of clip-retrieval's inference: ``text_emb/text_emb_0.npy`` … with ``metadata/metadata_0.parquet`` …

Files are paired by their numbers; row i of one is row i of the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from vectordb.index import Floats
from vectordb.readers import aligned
from vectordb.readers.npy import as_floats, rows_of
from vectordb.readers.rows import BadSource, OnProgress, Rows

VECTORS, METADATA = "text_emb", "metadata"
_NUMBER = re.compile(r"(\d+)\D*$")


def files(folder: Path) -> tuple[Path, ...]:
    """Pairs of a vector file and a caption file, one after the other. Raises ``BadSource``."""
    vectors = _numbered(folder / VECTORS, "*.npy")
    metadata = _numbered(folder / METADATA, "*.parquet")
    if not vectors:
        images = ": it holds vectors of images only" if (folder / "img_emb").is_dir() else ""
        raise BadSource(folder, f"there are no text_emb/*.npy{images}")
    if odd := sorted(vectors.keys() ^ metadata.keys()):
        have, lack = ("vectors", "captions") if odd[0] in vectors else ("captions", "vectors")
        raise BadSource(folder, f"there are {have} with the number {odd[0]}, but no {lack}")
    return tuple(path for number in sorted(vectors) for path in (vectors[number], metadata[number]))


def read(paths: Sequence[Path], column: str | None, on_progress: OnProgress) -> Iterator[Rows]:
    """The captions and vectors of pairs of files, as returned by ``files``."""
    before = 0
    for vectors, metadata in zip(paths[::2], paths[1::2], strict=True):
        start = before

        def so_far(consumed: int, start: int = start) -> None:
            on_progress(start + consumed)

        rows = rows_of(vectors)

        def fetch(a: int, b: int, rows: Floats = rows) -> Floats:
            return as_floats(rows[a:b])

        yield from aligned.read(vectors, len(rows), fetch, [metadata], column, so_far)
        before += vectors.stat().st_size + metadata.stat().st_size
        on_progress(before)


def _numbered(folder: Path, pattern: str) -> dict[int, Path]:
    """Files by the last number in their names, which has no leading zeros."""
    return {int(found[1]): path for path in folder.glob(pattern) if (found := _NUMBER.search(path.stem))}
