"""``python -m ops.bench latency``: time of one image on an idle stack, beyond the time of the encoder.

Photographs are sent one by one through the whole embedded stack: uploads to the gateway that wait for the record, and
files that are moved into the inbox folder, whose records are read from the feed. The time of the embedding stage
(decoding and encoding), as the record tells it, is subtracted. With ``--against`` the stack of another checkout gets
the same photographs in turns; the stack that waits is suspended.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.parse import quote, urlsplit

from rich.console import Console

from ops.bench import checkouts
from ops.bench.checkouts import Checkout
from ops.bench.machine import machine, table, versions
from ops.bench.options import parser_of
from ops.bench.stacks import FEEDS, Stack, stack
from ops.bench.varied import Varied
from vectordb.errors import Permanent
from workers.settings.settings import Settings

WARM = 5  # images at the begin of each block, which are not counted
PAUSE_S = (0.15, 0.3)  # between two images: the stack is idle again
PATIENCE_MS = 60_000
TOTAL = "total"
BLOCK_MS = 2000  # less than the time limit of the client
SETTLE_MS = int(Settings.model_fields["settle_ms"].default)
# milliseconds; of a drop beyond the time for which a file must rest
TARGETS = {"upload": {"p50": 30.0, "p99": 120.0}, "drop": {"p50": SETTLE_MS + 150.0}}

messages = Console(stderr=True)

# milliseconds until the record was seen, and those that it tells: of each stage, and ``total`` since it was accepted
Took = tuple[float, Mapping[str, float]]


def main(arguments: Sequence[str]) -> None:
    """Measure, and print a table or JSON."""
    chosen = _parser().parse_args(arguments)
    images, blocks = (4, 1) if chosen.short else (chosen.images, chosen.blocks)
    found: dict[str, Any] = {"machine": machine(), "versions": versions()}
    found |= measured(checkouts.compared(chosen), images, blocks)
    found["load_after"] = machine()["load"]
    if chosen.json:
        print(json.dumps(found))
    else:
        Console().print(table(found, "p50, p99", _rows(found["figures"])))


def measured(
    sides: Sequence[tuple[Checkout, Path | None]], images: int, blocks: int, settings: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Figures by checkout of ``images`` uploads and as many drops, in ``blocks`` by turns."""
    with tempfile.TemporaryDirectory(prefix="wt-", dir="/tmp") as folder, ExitStack() as opened:
        pictures = Varied()
        running = {one.name: opened.enter_context(stack(one, home, settings)) for one, home in sides}
        for one in running.values():
            one.suspend()
        took: dict[str, dict[str, list[Took]]] = {name: {"upload": [], "drop": []} for name in running}
        for block in range(blocks):
            files = pictures.write(Path(folder, str(block)), WARM + -(-images // blocks))
            for name, one in running.items():
                with one.awake():
                    took[name]["upload"] += uploads(one, files)[WARM:]
                    took[name]["drop"] += drops(one, files, str(block))[WARM:]
            messages.print(f"block {block + 1} of {blocks}", highlight=False)
    return {
        "checkouts": checkouts.described([one for one, _ in sides]), "settle_ms": SETTLE_MS,
        "figures": {name: {way: figures(way, values) for way, values in ways.items()} for name, ways in took.items()},
    }  # fmt: skip


def figures(way: str, took: Sequence[Took]) -> dict[str, Any]:
    """Milliseconds: of the whole, in the embedding stage, and the whole beyond that, image by image.

    ``stages``: medians of each stage. ``between``: of what is neither in a stage nor before the object was accepted:
    queues and hand-overs. ``around``: of the time before that, and from the record until it was seen.
    """
    over = _percentiles([whole - told["embedding"] for whole, told in took])
    stages = {stage: median(told[stage] for _, told in took) for stage in took[0][1] if stage != TOTAL}
    inside = [sum(spent for stage, spent in told.items() if stage != TOTAL) for _, told in took]
    return {
        "images": len(took), "whole": _percentiles([whole for whole, _ in took]),
        "embedding": _percentiles([told["embedding"] for _, told in took]), "over": over,
        "stages": {stage: round(spent, 2) for stage, spent in stages.items()},
        "between": round(median(told[TOTAL] - spent for (_, told), spent in zip(took, inside, strict=True)), 2),
        "around": round(median(whole - told[TOTAL] for whole, told in took), 2),
        "reached": {name: over[name] <= target for name, target in TARGETS[way].items()},
    }  # fmt: skip


def uploads(one: Stack, files: Sequence[Path]) -> list[Took]:
    """Send each file over one connection, and wait for its record in the answer."""
    address = urlsplit(one.gateway)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE_MS / 1000)

    def send(file: Path) -> Took:
        data = file.read_bytes()
        begun = time.perf_counter()
        connection.request("POST", "/v1/images?wait=30", data, {"Content-Type": "image/jpeg"})
        answer = connection.getresponse()
        body = answer.read()
        whole = 1000 * (time.perf_counter() - begun)
        record = json.loads(body).get("record") if answer.status < 300 else None
        if record is None or record["state"] != "done":
            raise Permanent(f"an upload was not tagged: {answer.status} {body[:500]!r}")
        return whole, record["timings_ms"]

    try:
        return _one_by_one(files, send)
    finally:
        connection.close()


def drops(one: Stack, files: Sequence[Path], folder: str) -> list[Took]:
    """Move each file into the inbox, and wait for its record in the feed."""
    connection = urlsplit(one.gateway)
    last = {feed: _newest(one, feed) for feed in FEEDS}

    def drop(file: Path) -> Took:
        begun = time.perf_counter()
        one.drop([file], f"dropped-{folder}")
        key = f"dropped-{folder}/{file.name}"
        while (whole := 1000 * (time.perf_counter() - begun)) < PATIENCE_MS:
            for feed, entries in one.redis.xread(last, block=BLOCK_MS):
                whole = 1000 * (time.perf_counter() - begun)
                for position, fields in entries:
                    last[feed.decode()] = position
                    bucket, _, of = fields[b"oid"].decode().partition("/")
                    if of == key:
                        return whole, _timings(connection.netloc, bucket, key)
        raise Permanent(f"{key} has no record after {whole / 1000:.0f} s: {one.said()}")

    return _one_by_one(files, drop)


def _one_by_one(files: Sequence[Path], send: Callable[[Path], Took]) -> list[Took]:
    draw = random.Random(7)
    took = []
    for file in files:
        took.append(send(file))
        time.sleep(draw.uniform(*PAUSE_S))
    return took


def _newest(one: Stack, feed: str) -> bytes:
    """The position of the last entry."""
    entries = one.redis.xrevrange(feed, count=1)
    return bytes(entries[0][0]) if entries else b"0"


def _timings(gateway: str, bucket: str, key: str) -> Mapping[str, float]:
    """What the record tells."""
    connection = http.client.HTTPConnection(gateway, timeout=30)
    try:
        connection.request("GET", f"/v1/objects/{bucket}/{quote(key)}")
        found = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    told: dict[str, float] = found.get("record", found)["timings_ms"]
    return told


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    high = quantiles(values, n=100, method="inclusive")[-1] if len(values) > 1 else values[0]
    return {"p50": round(median(values), 1), "p99": round(high, 1)}


def _rows(found: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    names = {"whole": "to the record", "embedding": "in the embedding stage", "over": "beyond it"}
    for side, ways in found.items():
        for way, one in ways.items():
            for key, name in names.items():
                took = f"{one[key]['p50']:.1f}, {one[key]['p99']:.1f} ms"
                yield f"{side}: {way}, {name}, {one['images']} images", took
            inside = ", ".join(f"{stage} {spent:.1f}" for stage, spent in one["stages"].items())
            rest = f"between them {one['between']:.1f}, before and after {one['around']:.1f} ms"
            yield f"{side}: {way}, medians", f"{inside}, {rest}"


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("latency", __doc__, "4 of each")
    parser.add_argument("--images", type=int, default=200, help="uploads, and as many drops (default: %(default)s)")
    parser.add_argument("--blocks", type=int, default=4, help="of them, in turns (default: %(default)s)")
    checkouts.add_options(parser)
    return parser
