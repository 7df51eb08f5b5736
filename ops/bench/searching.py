"""Search a finished index of images: the child process of ``ops.bench.index_latency``.

Prints one line when the index is open, one after all queries, and one after new images got a graph meanwhile.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from ops.bench.image_vectors import MadeImages, word_of
from ops.bench.watched import memory
from vectordb import image_graph
from vectordb.image_growth import LEAST, GrowingImages
from vectordb.images import EVERYTHING, ImageFilter

NEW = LEAST + 2_000  # images that are put at last
LATER = 100  # images that are put while their graph is built
DEADLINE_S = 1800.0


def main(arguments: list[str]) -> None:
    """``arguments``: folder of the index, file of the queries, number of images, and of the new ones at last."""
    # standard output is for results
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    path, file, count, new = Path(arguments[0]), Path(arguments[1]), int(arguments[2]), int(arguments[3])
    with np.load(file) as queries:
        asked = {name: queries[name] for name in queries.files}
    begun = time.perf_counter()
    index = GrowingImages.open(path)
    _say("opened", seconds=time.perf_counter() - begun, memory=memory())
    _asked(index, asked)  # reads the pages that the queries need
    _say("alone", kinds=_asked(index, asked), memory=memory())
    index.close()
    _say("growing", **_growing(path, asked, count, new))


def _asked(index: GrowingImages, asked: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Milliseconds of a query and recall, by kind."""
    took: dict[str, list[float]] = {}
    hits: dict[str, list[float]] = {}
    for kind, vector, tag, ids in zip(*(asked[name] for name in ("kinds", "vectors", "tags", "ids")), strict=True):
        where = EVERYTHING if tag < 0 else ImageFilter(tags=(word_of(tag),))
        begun = time.perf_counter()
        (found,) = index.search(vector[None], len(ids), where)
        took.setdefault(str(kind), []).append(1000 * (time.perf_counter() - begun))
        true = set(ids[ids > 0].tolist())
        hits.setdefault(str(kind), []).append(len(true & {entry.id for entry in found.entries}) / max(1, len(true)))
    return {
        kind: {
            "p50_ms": float(np.percentile(times, 50)),
            "p99_ms": float(np.percentile(times, 99)),
            "worst_ms": max(times),
            "recall": float(np.mean(hits[kind])),
        }
        for kind, times in took.items()
    }


def _growing(path: Path, asked: dict[str, Any], count: int, added: int) -> dict[str, Any]:
    """Put new images into a copy, and send the queries while another process builds their graph."""
    other = path.with_name(f"{path.name}.growing")
    shutil.rmtree(other, ignore_errors=True)
    image_graph.copy(path / "shard", other / "shard")
    shutil.copy(path / "index.json", other)
    index = GrowingImages.open(other)
    new = list(MadeImages(added, seed=8).pieces())
    for page, (entries, vectors) in enumerate(new):
        renamed = [type(one)(f"new-{page}", one.key, one.etag, one.captions_version) for one in entries]
        index.put(renamed, vectors)
    scanned = _asked(index, asked)
    begun = time.perf_counter()
    index.maintain(min(LEAST, added - 1))
    copied = time.perf_counter() - begun
    kinds = _asked(index, asked)
    entries, vectors = new[0]
    later = min(LATER, len(entries) - 1)
    index.put([type(one)("later", one.key, one.etag) for one in entries[:later]], vectors[:later])
    longest = 0.0
    while index.without_graph() > later and time.perf_counter() - begun < DEADLINE_S:
        time.sleep(0.1)
        step = time.perf_counter()
        index.maintain()
        longest = max(longest, time.perf_counter() - step)
    built = time.perf_counter() - begun
    complete = index.count() == count + added + later
    index.close()
    shutil.rmtree(other)
    return {
        "put": added, "copy_s": copied, "build_s": built - longest - copied, "swap_s": longest, "complete": complete,
        "kinds": kinds, "without_a_build": scanned,
    }  # fmt: skip


def _say(step: str, **figures: object) -> None:
    print(json.dumps({"step": step, **figures}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
