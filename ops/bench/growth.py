"""``python -m ops.bench growth``: what one more image costs with ten times the records, and ten times the captions.

- ``records``: two Redis servers with records, written by the scripts of the product, the larger with ten times as
  many. Batches of further images are entered, advanced through the stages and finished on both in turns: time of the
  client, and CPU of the server, for each image.
- ``captions``: two embedded caption indexes with vectors in clusters (``ops.bench.image_vectors``), which are built
  in the folder once: a quarter of an hour for a million. Batches of queries are sent to both in turns.

Rewrites of Redis's append-only file are not included: they are disabled after the records are written.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import redis
from rich.console import Console
from rich.progress import track

from ops.bench.composed import texts
from ops.bench.image_vectors import MadeImages
from ops.bench.machine import machine, shown, spread, table, versions
from ops.bench.made_up_records import CAPTIONS_VERSION, SPACE, MadeUpRecords, ref_of
from ops.bench.options import add_parts, parser_of
from ops.bench.private_redis import private_redis, wait_until
from tasks.message_parts import Revision
from vectordb.captions import Caption
from vectordb.edge import EdgeIndex
from vectordb.index import Floats
from workers.lifecycle.ledger import Arrival, Ledger
from workers.redis.keys import Keys
from workers.settings.settings import STAGES, Settings

PAGE = 500  # records that are written at a time to fill a server
FEED = int(Settings.model_fields["feed_length"].default)
BATCH = int(Settings.model_fields["batch_max"].default)
LIMIT = int(Settings.model_fields["retrieval_limit"].default)
CALL = 2048  # captions per call of ``add``, as in an import
FACTOR = 10
MOST = 1_000_000_000  # records that are made at most
REVISION = Revision(SPACE, CAPTIONS_VERSION)
TARGETS = {"records": 1.1, "captions": 1.5}

messages = Console(stderr=True)


def main(arguments: Sequence[str]) -> None:
    """Measure, and print a table or JSON."""
    chosen = _parser().parse_args(arguments)
    large, images, rounds = (2000, 64, 2) if chosen.short else (chosen.large, chosen.images, chosen.rounds)
    found: dict[str, Any] = {"machine": machine(), "versions": versions()}
    only = chosen.only
    if "records" in only:
        found["records"] = records(large, images, rounds)
    if "captions" in only:
        with tempfile.TemporaryDirectory(prefix="growth-") as folder:
            found["captions"] = captions(Path(folder) if chosen.short else chosen.folder, large, images, rounds)
    found["load_after"] = machine()["load"]
    if chosen.json:
        print(json.dumps(found))
    else:
        Console().print(table(found, "median (least to greatest)", _rows(found)))


def records(large: int, images: int, rounds: int) -> dict[str, Any]:
    """Milliseconds for one more image with ``large`` records and with a tenth of them, and the ratio by rounds."""
    with ExitStack() as opened:
        servers: dict[int, _Server] = {}
        for count in (large // FACTOR, large):
            # not in TMPDIR, because the path of a socket must be short
            folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="wt-", dir="/tmp"))
            client, _ = opened.enter_context(private_redis(Path(folder)))
            servers[count] = _Server(client)
            servers[count].fill(count)
        took: dict[int, list[dict[str, float]]] = {count: [] for count in servers}
        for number in range(rounds + 1):
            for count, server in servers.items():
                figures = server.more(images)
                if number:  # the first round of each loads the scripts
                    took[count].append(figures)
    return _compared(took, ("ms", "server_cpu_ms"), images, TARGETS["records"])


class _Server:
    """One Redis with records. ``client`` is to an empty one."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis: Any = client
        self._ledger = Ledger(client, Keys("wildtag:"), FEED)
        self._made = MadeUpRecords().records(MOST, time.time())

    def fill(self, count: int) -> None:
        """Write records, without an append-only file meanwhile."""
        self._redis.config_set("appendonly", "no")
        pages = range(0, count, PAGE)
        for begin in track(pages, f"writing {count:,} records", console=messages, transient=True):
            self._write(min(PAGE, count - begin), staged=False)
        self._redis.config_set("auto-aof-rewrite-percentage", "0")
        self._redis.config_set("appendonly", "yes")
        deadline = time.monotonic() + 600
        while self._redis.info("persistence")["aof_rewrite_in_progress"] and time.monotonic() < deadline:
            time.sleep(0.1)
        wait_until(self._redis.ping)

    def more(self, images: int) -> dict[str, float]:
        """Milliseconds an image for further ones, in batches as the dispatcher makes them."""
        batches = list(range(0, images, BATCH))
        before, begun = self._cpu(), time.perf_counter()
        for _ in batches:
            self._write(BATCH, staged=True)
        done = BATCH * len(batches)
        took = time.perf_counter() - begun
        return {"ms": 1000 * took / done, "server_cpu_ms": 1000 * (self._cpu() - before) / done}

    def _write(self, count: int, *, staged: bool) -> None:
        page, now = list(islice(self._made, count)), time.time()
        refs = [ref_of(record) for record in page]
        self._ledger.enter([Arrival(ref, verified=True) for ref in refs], REVISION, now, now + 60)
        for stage in STAGES if staged else ():
            self._ledger.advance(refs, REVISION, stage, now + 60, now=now, begin=stage == STAGES[0])
        self._ledger.finish(page, now)

    def _cpu(self) -> float:
        """Seconds of CPU of the server, without its children."""
        found = self._redis.info("cpu")
        return float(found["used_cpu_user"]) + float(found["used_cpu_sys"])


def captions(folder: Path, large: int, images: int, rounds: int) -> dict[str, Any]:
    """Milliseconds to search the captions of one image, among ``large`` and among a tenth of them."""
    folder.mkdir(parents=True, exist_ok=True)
    indexes = {count: _built(folder / f"growth-{count}", count) for count in (large // FACTOR, large)}
    queries = MadeImages(0).queries(images)
    took: dict[int, list[dict[str, float]]] = {count: [] for count in indexes}
    try:
        for number in range(rounds + 1):
            for count, index in indexes.items():
                figures = _searched(index, queries)
                if number:  # the first round of each reads its pages
                    took[count].append(figures)
    finally:
        for index in indexes.values():
            index.close()
    return _compared(took, ("ms", "cpu_ms"), images, TARGETS["captions"])


def _built(path: Path, count: int) -> EdgeIndex:
    """The index in this folder; it is built if it is not there, or was not finished."""
    done = path.with_suffix(".done")
    if not done.exists():
        index = EdgeIndex.create(path, MadeImages(0).dimension) if not path.exists() else EdgeIndex.open(path)
        words = texts()
        with_bar = track(MadeImages(count).rows(), f"adding {count:,} captions", total=-(-count // 8192),
                         console=messages, transient=True)  # fmt: skip
        for _, vectors in with_bar:
            rows = [Caption.of(text) for text in islice(words, len(vectors))]
            for begin in range(0, len(rows), CALL):
                index.add(rows[begin : begin + CALL], vectors[begin : begin + CALL])
        messages.print(f"building the graph of {count:,} captions")
        index.optimize()
        index.close()
        done.touch()
    return EdgeIndex.open(path)


def _searched(index: EdgeIndex, queries: Floats) -> dict[str, float]:
    begun, cpu = time.perf_counter(), time.process_time()
    for begin in range(0, len(queries), BATCH):
        index.search(queries[begin : begin + BATCH], LIMIT)
    took, spent = time.perf_counter() - begun, time.process_time() - cpu
    return {"ms": 1000 * took / len(queries), "cpu_ms": 1000 * spent / len(queries)}


def _compared(
    took: Mapping[int, Sequence[Mapping[str, float]]], figures: Sequence[str], images: int, target: float
) -> dict[str, Any]:
    """Spreads by size, and of the ratio of the larger to the smaller in one round, of whose ``ms`` is ``target``."""
    small, large = sorted(took)
    found: dict[str, Any] = {"images": images, "sizes": {}, "ratio": {}}
    for count in (small, large):
        found["sizes"][str(count)] = {name: spread([one[name] for one in took[count]]) for name in figures}
    for name in figures:
        pairs = zip(took[small], took[large], strict=True)
        found["ratio"][name] = spread([b[name] / max(a[name], 1e-9) for a, b in pairs])
    found["reached"] = found["ratio"]["ms"]["median"] <= target
    return found


def _rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for part in ("records", "captions"):
        if part in found:
            for count, figures in found[part]["sizes"].items():
                for name, one in figures.items():
                    yield f"{int(count):,} {part}: {name} an image", shown(one, digits=3)
            for name, one in found[part]["ratio"].items():
                yield f"{part}: ratio of {name}", shown(one)


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("growth", __doc__, "2,000 and 200")
    add_parts(parser, ("records", "captions"))
    parser.add_argument(
        "--large", type=int, default=1_000_000, help="of the larger one, ten times the smaller (default: %(default)s)"
    )
    parser.add_argument("--images", type=int, default=1600, help="more images per round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("bench"),
        help="of the caption indexes, kept for the next run; 4 GB a million (default: %(default)s)",
    )
    return parser
