"""``python -m ops.bench index_latency``: speed, recall and memory of searches in the embedded index of images.

The images are made (see ``ops.bench.image_vectors``). The index is built in the folder once, which takes ten minutes
or more for a million, and may be interrupted. Queries are sent one at a time, without a filter and with a tag that is
common, medium or rare; recall@10 is measured against all vectors, with numpy. At last new images are put, and the
same queries are sent while another process builds their graph.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from ops.bench.image_vectors import WORDS, MadeImages
from ops.bench.machine import machine, table, versions
from ops.bench.searching import NEW
from ops.bench.watched import Clock, watched
from vectordb.image_edge import SEGMENT, EdgeImages

LIMIT = 10
# kind of filter → least and largest share of the images that have the tag
SHARES = {"no filter": None, "common": (0.03, 1.0), "medium": (0.003, 0.03), "rare": (0.0001, 0.001)}

console = Console()
messages = Console(stderr=True)


def main(arguments: Sequence[str]) -> None:
    """Build what is missing, measure, and print a table or JSON."""
    chosen = _parser().parse_args(arguments)
    found = {"machine": machine(), "versions": versions()}
    found |= measured(chosen.folder, chosen.images, chosen.queries)
    found["load_after"] = machine()["load"]
    if chosen.json:
        console.out(json.dumps(found), highlight=False)
    else:
        console.print(table(found, "figure", _rows(found)))


def measured(folder: Path, images: int, queries: int, new: int = NEW) -> dict[str, Any]:
    """Build what is missing in ``folder``, and measure. ``new``: images that are put at last."""
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"images": images}
    made = MadeImages(images)
    index = folder / f"images-{images}"
    found["built"] = _built(index, made)
    file = _queries(folder / f"queries-{images}-{queries}.npz", made, queries)
    for step, peak in watched("ops.bench.searching", [str(index), str(file), str(images), str(new)]):
        messages.print(json.dumps(step), highlight=False, soft_wrap=True)
        found[step.pop("step")] = {**step, "peak_memory": peak}
    # allocated blocks, since the files of the engine are sparse
    found["on_disk_mb"] = sum(one.stat().st_blocks for one in index.rglob("*") if one.is_file()) * 512 / 1e6
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ops.bench index_latency",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", type=int, default=1_000_000, help="number of images (default: %(default)s)")
    parser.add_argument("--queries", type=int, default=250, help="queries of each kind (default: %(default)s)")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("bench"),
        help="kept for the next run; 4 GB a million (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print all figures and their conditions as JSON")
    return parser


def _built(path: Path, made: MadeImages) -> dict[str, Any]:
    """Put the missing images, and build a graph for each ``SEGMENT`` of them. The time of what was missing."""
    known = (path / "index.json").exists()
    index = EdgeImages.open(path) if known else EdgeImages.create(path, made.dimension)
    begun = done = index.count()
    clock, seen, last = Clock(), 0, index.count() - index.count() % SEGMENT
    with Progress(console=messages, transient=True) as progress:
        bar = progress.add_task("putting images", total=made.count)
        for entries, vectors in made.pieces() if done < made.count else ():
            seen += len(entries)
            if seen > done:
                index.put(entries, vectors)
                done = seen
            if done - last >= SEGMENT - len(entries):
                index.optimize()
                last = done
            progress.update(bar, completed=seen)
    index.optimize()
    index.close()
    return {"images": done - begun, **clock.seconds()}


def _queries(file: Path, made: MadeImages, count: int) -> Path:
    """A file with ``count`` queries of each kind, their tags (-1: none), and the ids of the true hits (0: none)."""
    if file.exists():
        return file
    shares = np.zeros(WORDS)
    for tags, _ in made.rows():
        shares += np.bincount(tags[tags >= 0], minlength=WORDS) / made.count
    rng = np.random.default_rng(made.seed + 1)
    wanted = np.concatenate([_tags(rng, shares, bounds, count) for bounds in SHARES.values()])
    vectors = made.queries(len(wanted))
    best = np.full((len(wanted), LIMIT), -2.0, np.float32)
    places = np.full((len(wanted), LIMIT), -1, np.int64)
    begin = 0
    for tags, rows in made.rows():
        similar = vectors @ rows.T
        for query, tag in enumerate(wanted):
            here = np.flatnonzero((tags == tag).any(axis=1)) if tag >= 0 else np.arange(len(rows))
            scores = np.concatenate([best[query], similar[query, here]])
            nearest = np.argpartition(-scores, LIMIT - 1)[:LIMIT]
            best[query] = scores[nearest]
            places[query] = np.concatenate([places[query], begin + here])[nearest]
        begin += len(rows)
    ids = np.append(made.ids(), np.uint64(0))[places]
    np.savez(file, vectors=vectors, tags=wanted, ids=ids, kinds=np.repeat(list(SHARES), count))
    return file


def _tags(
    rng: np.random.Generator, shares: NDArray[np.float64], bounds: tuple[float, float] | None, count: int
) -> NDArray[np.int64]:
    if bounds is None:
        return np.full(count, -1)
    return rng.choice(np.flatnonzero((shares >= bounds[0]) & (shares < bounds[1])), count)


def _rows(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    built = found["built"]
    yield (
        f"put and built, {built['images']:,} images",
        f"{built['seconds']:.0f} s ({built['cpu_seconds']:.0f} of CPU)",
    )
    yield "on disk", f"{found['on_disk_mb']:.0f} MB"
    yield "opened", f"{found['opened']['seconds']:.2f} s"
    for step, name in (("alone", "{}"), ("growing", "{}, while a graph is built")):
        for kind, one in found.get(step, {}).get("kinds", {}).items():
            took = f"{one['p50_ms']:.2f} ms, {one['p99_ms']:.2f} ms, {one['recall']:.4f}"
            yield f"{name.format(kind)}: median, 99 %, recall@{LIMIT}", took
    memory = found["alone"]["memory"]
    yield "memory after all queries", f"{memory['anonymous']:.0f} MB its own, {memory['file']:.0f} MB of files"
    if growth := found.get("growing"):
        took = (
            f"{growth['copy_s']:.2f} s to copy, {growth['build_s']:.0f} s to build, {growth['swap_s']:.2f} s to swap"
        )
        yield f"{growth['put']:,} new images", took
        yield "its own memory at most", f"{growth['peak_memory'].get('anonymous', 0):.0f} MB"
