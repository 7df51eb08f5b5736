"""Memory of Redis per record: all that a tagged image leaves there, by family of keys.

Records are written as the product writes them: entered in the ledger, and finished by its script. There are two
kinds. ``plain`` has what version 0.1.0 stored: a record, five tags, its places in the lists. ``full`` also has the
facts of the file, confidences and the labels that tags imply. The feed keeps its length, so it is not counted.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import redis
from rich.console import Console

from ops.bench.machine import machine, table, versions
from ops.bench.made_up_records import CAPTIONS_VERSION, SPACE, MadeUpRecords, ref_of
from ops.bench.private_redis import private_redis
from tasks.message_parts import Revision
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Record
from workers.redis.keys import Keys

KINDS = ("plain", "full")
PAGE = 200
RECORDS, FEW = 20_000, 2_000
FEED = 1000  # entries that the feed keeps
PREFIX = "wildtag:"
SAMPLED = 10_000  # keys of a family; lists of labels differ much in their sizes
FIRST = 3 * FEED  # records that are there before it is measured


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench records", description=__doc__)
    parser.add_argument("--records", type=int, default=0, help=f"records per kind (default: {RECORDS:,})")
    parser.add_argument("--short", action="store_true", help=f"{FEW:,} records")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    count = given.records or (FEW if given.short else RECORDS)
    found: dict[str, Any] = {"machine": machine(), "versions": versions(), "records": count}
    for kind in KINDS:
        found[kind] = measure(count, plain=kind == "plain")
    found["load_after"] = machine()["load"]
    if given.json:
        print(json.dumps(found, indent=2))
        return
    names = sorted({name for kind in KINDS for name in found[kind]["families"]})
    rows = [("bytes a record", *(f"{found[kind]['bytes']:,.0f}" for kind in KINDS))]
    rows += [(name, *(f"{found[kind]['families'].get(name, 0):,.0f}" for kind in KINDS)) for name in names]
    Console().print(table(found, "plain / full", [(name, f"{plain} / {full}") for name, plain, full in rows]))


def measure(count: int, *, plain: bool) -> dict[str, Any]:
    """Write ``count`` records. Returns ``bytes`` a record by the memory of the server, and by family of keys."""
    with tempfile.TemporaryDirectory(prefix="wt-", dir="/tmp") as folder, private_redis(Path(folder)) as (client, _):
        ledger = Ledger(client, Keys(PREFIX), FEED)
        made = MadeUpRecords(plain=plain).records(FIRST + count, time.time())
        write(ledger, islice(made, FIRST))
        before, families = used(client), by_family(client)
        began = time.process_time()
        write(ledger, made)
        spent = time.process_time() - began
        after, grown = used(client), by_family(client)
        server: Any = client.info("server")
        return {
            "bytes": (after - before) / count,
            "families": {name: round((grown[name] - families.get(name, 0)) / count, 1) for name in sorted(grown)},
            "writing_ms": 1000 * spent / count,
            "server": _server(server),
        }


def _server(info: Mapping[str, Any]) -> str:
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info['redis_version']}"


def write(ledger: Ledger, records: Iterable[Record]) -> None:
    """Enter and finish the records, a page at a time."""
    revision, left = Revision(SPACE, CAPTIONS_VERSION), iter(records)
    while page := list(islice(left, PAGE)):
        now = page[-1].finished_at
        arrivals = [Arrival(ref_of(one), sequence=f"{number:032x}", verified=True) for number, one in enumerate(page)]
        ledger.enter(arrivals, revision, now, now + 60)
        if not all(ledger.finish(page, now)):
            raise AssertionError("a record was refused")


def used(client: redis.Redis) -> int:
    """Bytes that the data occupies, without buffers of the append-only file and of clients."""
    client.config_set("appendonly", "no")
    memory: Any = client.info("memory")
    return int(memory["used_memory_dataset"]) + int(memory.get("overhead.hashtable.main", 0))


def by_family(client: redis.Redis) -> dict[str, float]:
    """Bytes by the part of a key up to its second colon; large families by a sample of their keys."""
    names: dict[str, list[bytes]] = defaultdict(list)
    for key in client.scan_iter(count=5000):
        name = key.decode(errors="replace").removeprefix(PREFIX)
        first, colon, _ = name.partition(":")
        names[f"{first}:*" if colon and first != "state" else name].append(key)
    found = {}
    for name, keys in names.items():
        some = keys[:: max(1, len(keys) // SAMPLED)]
        pipe = client.pipeline(transaction=False)
        for key in some:
            pipe.memory_usage(key, samples=200)
        found[name] = sum(pipe.execute()) * len(keys) / len(some)
    return found
