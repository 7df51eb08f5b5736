"""A faiss index ``text.index`` with a folder ``metadata`` of Arrow or Parquet files, row by row.

This is the layout of the reference implementation of CaSED and of clip-retrieval. A flat index is read without faiss.
Its layout, little-endian:

====== ======= ===================================================================================================
byte   type    meaning
====== ======= ===================================================================================================
0      char[4] ``IxFI`` (inner product), ``IxF2`` (Euclidean), ``IxFl`` (another metric)
4      int32   dimension d
8      int64   number of vectors n
16     int64   unused, twice
32     uint8   whether it is trained
33     int32   metric: 0 inner product, 1 Euclidean
37     float32 the metric's argument; only if the metric is above 1
37, 41 uint64  number of floats that follow: n · d
45, 49 float32 the vectors, row by row
====== ======= ===================================================================================================

Any other index needs the package faiss-cpu. A compressed index returns approximate vectors.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vectordb.index import Floats
from vectordb.readers import aligned
from vectordb.readers.columns import translated
from vectordb.readers.rows import DIMENSION_MAX, BadSource, OnProgress, Rows

INDEX, METADATA = "text.index", "metadata"
FLAT = (b"IxFI", b"IxF2", b"IxFl")
_HEADER = struct.Struct("<4siqqqBi")
_ARGUMENT, _COUNT = struct.Struct("<f"), struct.Struct("<Q")


def files(place: Path, order: Callable[[Path], Any]) -> tuple[Path, ...]:
    """The index, then its metadata files in order. ``place`` is the folder or the index. Raises ``BadSource``."""
    index = place / INDEX if place.is_dir() else place
    if not index.is_file():
        images = " (there are vectors of images, image.index)" if (place / "image.index").exists() else ""
        raise BadSource(place, f"there is no {INDEX} in it{images}")
    folder = index.parent / METADATA
    for suffix in ("arrow", "parquet"):
        if found := sorted(folder.glob(f"[!.]*.{suffix}"), key=order):
            return (index, *found)
    raise BadSource(index, f"its captions are missing: there are no .arrow or .parquet files in {folder}")


def read(
    paths: Sequence[Path], column: str | None, on_progress: OnProgress, load: Callable[[], Any] | None = None
) -> Iterator[Rows]:
    """The captions and vectors of an index and its metadata, as returned by ``files``.

    ``load`` imports faiss, or raises ``ImportError``.
    """
    index, *metadata = paths
    with translated(index), index.open("rb") as file:
        magic = file.read(4)
    count, fetch = _flat(index) if magic in FLAT else _other(index, load or _faiss)
    yield from aligned.read(index, count, fetch, metadata, column, on_progress)


def _flat(path: Path) -> tuple[int, aligned.Fetch]:
    """The number of vectors in a flat index, and a function to read them."""
    with translated(path), path.open("rb") as file:
        try:
            _, dimension, count, _, _, _, metric = _HEADER.unpack(file.read(_HEADER.size))
            file.seek(_ARGUMENT.size if metric > 1 else 0, 1)
            (floats,) = _COUNT.unpack(file.read(_COUNT.size))
        except struct.error as exc:
            raise BadSource(path, "the index is truncated within its header", "byte 0") from exc
        start, end = file.tell(), file.seek(0, 2)
    if dimension < 1 or count < 0 or floats != dimension * count:
        raise BadSource(
            path, f"its header is invalid: {count} vectors of dimension {dimension} in {floats} floats", "byte 4"
        )
    if dimension > DIMENSION_MAX:
        raise BadSource(path, f"its vectors have {dimension:,} dimensions, more than {DIMENSION_MAX:,}", "byte 4")
    if end < start + 4 * floats:
        raise BadSource(path, f"the index is truncated: it should have {start + 4 * floats:,} bytes", f"byte {end}")
    if not count:
        return 0, lambda _a, _b: np.empty((0, dimension), dtype=np.float32)
    rows = np.memmap(path, dtype="<f4", mode="r", offset=start, shape=(count, dimension))
    return count, lambda a, b: np.array(rows[a:b], dtype=np.float32)


def _other(path: Path, load: Callable[[], Any]) -> tuple[int, aligned.Fetch]:
    """The same with faiss, for any index that can reconstruct its vectors."""
    try:
        faiss = load()
    except ImportError as exc:
        raise BadSource(path, "this is not a flat index; to read it, install the package faiss-cpu") from exc
    try:
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
        inverted = faiss.try_extract_index_ivf(index)
        if inverted is not None:
            inverted.make_direct_map()
    except RuntimeError as exc:  # the only error that faiss raises
        raise BadSource(path, f"faiss cannot read it: {exc}") from exc

    def fetch(a: int, b: int) -> Floats:
        try:
            return np.array(index.reconstruct_n(a, b - a), dtype=np.float32)
        except RuntimeError as exc:
            raise BadSource(path, f"this type of index cannot return its vectors: {exc}", f"row {a + 1}") from exc

    return int(index.ntotal), fetch


def _faiss() -> Any:
    return importlib.import_module("faiss")
