"""Search a finished index: the child process of ``ops.bench.captions``.

Prints one line when the index is open, one for each ``ef``, one after many other queries, and one about teaching.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ops.bench.prepared import Prepared
from ops.bench.watched import Clock, memory
from vectordb.captions import Caption
from vectordb.edge import EdgeIndex
from vectordb.index import Floats
from vectordb.options import IndexOptions

BATCH = 32
LIMIT = 10
ROUNDS = 5
MANY = 20_000
TAUGHT = 100


def main(arguments: list[str]) -> None:
    """``arguments``: folder of the index, description of the prepared captions, options and values of ``ef`` as JSON.

    The true neighbours of the queries lie beside the prepared captions.
    """
    target, prepared = Path(arguments[0]), Prepared.described(arguments[1])
    options, efs = IndexOptions(**json.loads(arguments[2])), json.loads(arguments[3])
    texts, queries = prepared.queries()
    truth = np.load(prepared.truth)
    begun = time.perf_counter()
    index = EdgeIndex.open(target, options)
    opened = time.perf_counter() - begun
    index.search(queries[:1], LIMIT)
    _say("opened", seconds=opened, first_answer_seconds=time.perf_counter() - begun, memory=memory())
    for ef in [options.ef, *(ef for ef in efs if ef != options.ef)]:
        index.close()
        index = EdgeIndex.open(target, replace(options, ef=ef))
        _say("searched", ef=ef, **_searched(index, queries, truth), memory=memory())
    index.close()
    index = EdgeIndex.open(target, options)
    _say("many", **_many(index, prepared), memory=memory())
    _say("taught", **_taught(index, texts, queries), memory=memory())
    index.close()


def _searched(index: EdgeIndex, queries: Floats, truth: np.ndarray[Any, np.dtype[np.uint64]]) -> dict[str, Any]:
    """Milliseconds per query, in batches and alone, and recall."""
    rounds, cpu = [], []
    for _ in range(ROUNDS):
        clock = Clock()
        found = [
            one
            for start in range(0, len(queries), BATCH)
            for one in index.search(queries[start : start + BATCH], LIMIT)
        ]
        taken = clock.seconds()
        rounds.append(1000 * taken["seconds"] / len(queries))
        cpu.append(1000 * taken["cpu_seconds"] / len(queries))
    hits = sum(
        len({caption.id for caption in one.captions} & set(row))
        for one, row in zip(found, truth.tolist(), strict=True)
    )
    alone = []
    for query in queries[:200]:
        begun = time.perf_counter()
        index.search(query[None], LIMIT)
        alone.append(1000 * (time.perf_counter() - begun))
    return {
        "recall": hits / truth.size,
        "batched_ms": {"best": min(rounds), "median": median(rounds), "worst": max(rounds), "cpu": median(cpu)},
        "alone_ms": {"median": median(alone), "p95": float(np.percentile(alone, 95))},
    }


def _many(index: EdgeIndex, prepared: Prepared) -> dict[str, Any]:
    """Run other queries, which load pages of the vector file into memory as in long operation."""
    done, begun = 0, time.perf_counter()
    for _, vectors in prepared.pieces():
        for start in range(0, min(len(vectors), MANY - done), BATCH):
            index.search(vectors[start : start + BATCH], LIMIT)
        done += min(len(vectors), MANY - done)
        if done == MANY:
            break
    return {"queries": done, "batched_ms": 1000 * (time.perf_counter() - begun) / done}


def _taught(index: EdgeIndex, texts: list[str], queries: Floats) -> dict[str, Any]:
    """One caption at a time, what a search costs then, and the list of what was taught; taken out again."""
    taught = [Caption.of(text, source="taught") for text in texts[:TAUGHT]]
    adding = []
    for row, caption in enumerate(taught):
        begun = time.perf_counter()
        index.add([caption], queries[row : row + 1])
        adding.append(1000 * (time.perf_counter() - begun))
    found = index.search(queries[: len(taught)], 1)
    begun = time.perf_counter()
    for start in range(0, len(queries), BATCH):
        index.search(queries[start : start + BATCH], LIMIT)
    batched = 1000 * (time.perf_counter() - begun) / len(queries)
    begun = time.perf_counter()
    listed = sum(len(page) for page, _ in index.pages("taught"))
    listing = time.perf_counter() - begun
    index.remove([caption.id for caption in taught])
    return {
        "captions": len(taught),
        "found_at_once": sum(one.captions[:1] == (caption,) for one, caption in zip(found, taught, strict=True)),
        "add_ms": {"median": median(adding), "worst": max(adding)},
        "batched_ms": batched, "listed": listed, "listing_ms": 1000 * listing,
    }  # fmt: skip


def _say(step: str, **figures: object) -> None:
    print(json.dumps({"step": step, **figures}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
