"""An index of made images, and what tests of its graphs do with it."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import numpy as np

from vectordb.image_growth import GrowingImages
from vectordb.images import ImageEntry, ImageLabels
from vectordb.index import Floats
from vectordb.options import IndexOptions

DIMENSION = 16
OPTIONS = IndexOptions(m=16, ef_construct=64, quantised=True)
LEAST = 100  # images without a graph that start a build
DEADLINE_S = 60.0


def created(path: Path) -> GrowingImages:
    """An index of 300 images without a graph."""
    index = GrowingImages.create(path, DIMENSION, OPTIONS)
    index.put(entries(300), rows(300))
    return index


def entries(count: int, first: int = 0) -> list[ImageEntry]:
    return [ImageEntry("photos", f"{n:05}.jpg", f"e{n}", "starter@1") for n in range(first, first + count)]


def rows(count: int, first: int = 0) -> Floats:
    found = np.random.default_rng(first + 1).standard_normal((count, DIMENSION)).astype(np.float32)
    unit: Floats = found / np.linalg.norm(found, axis=1, keepdims=True)
    return unit


def built(index: GrowingImages, least: int = LEAST) -> None:
    """Follow the build until the index has its graph."""
    deadline = time.monotonic() + DEADLINE_S
    while index.without_graph() > least or building(index):
        assert time.monotonic() < deadline
        index.maintain(least)
        if process := building(index):
            process.wait(DEADLINE_S)


def building(index: GrowingImages) -> subprocess.Popen[bytes] | None:
    return None if index._build is None else index._build.process


def in_graphs(index: GrowingImages) -> int:
    """The number of images that graphs were built of."""
    files = (index._path / "shard").glob("segments/*/vector_index-image/hnsw_config.json")
    return sum(json.loads(file.read_text())["indexed_vector_count"] for file in files)


def ended(index: GrowingImages) -> None:
    """Wait until the process has ended; the owner has not looked yet."""
    process = building(index)
    assert process is not None
    process.wait(DEADLINE_S)


def everything(index: GrowingImages) -> dict[str, tuple[ImageEntry, bytes]]:
    """All images with their vectors; asserts that none is there twice."""
    found: dict[str, tuple[ImageEntry, bytes]] = {}
    for page, vectors in index.pages():
        for entry, row in zip(page, vectors, strict=True):
            assert entry.key not in found
            found[entry.key] = entry, np.round(row, 5).tobytes()
    assert index.count() == len(found)
    return found


def change(index: GrowingImages) -> None:
    """New images, new versions, labels and removals, of images with a graph and without."""
    index.put(entries(20, 300), rows(20, 300))
    index.put([ImageEntry("photos", "00005.jpg", "new", "starter@1")], rows(1, 900))
    for number in (7, 310):
        index.label([ImageLabels("photos", f"{number:05}.jpg", f"e{number}", ("cat",), {"cat": 1.0})])
    index.remove([entry.id for entry in (*entries(3, 10), *entries(3, 315))])
