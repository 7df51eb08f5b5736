"""``python -m ops.bench reconcile``: duration of a sweep over a fully tagged bucket.

The bucket is simulated and its listing is almost free, so the figures show the cost of the sweep itself: reading
pages of records from a real Redis, and comparing both sides in key order.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from rich.progress import track

from ops.bench.machine import machine, versions
from ops.bench.private_redis import private_redis
from ops.bench.watched import memory
from tasks.message_parts import ObjectRef, Revision, Tag, UserMetadata
from vectordb.errors import Permanent
from workers.cli.console import console, messages
from workers.dispatch.removals import Holds
from workers.dispatch.sweeper import Sweeper
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Evidence, Record
from workers.lifecycle.record_reader import Records
from workers.redis.keys import Keys
from workers.stores.store import ObjectInfo, Wanted, anything

BUCKET = "photos"
TARGET_S = 60.0
REVISION = Revision("space", "captions@1")
CHUNK = 1000


class MadeUp:
    """A simulated ``ObjectStore`` with ``count`` objects."""

    def __init__(self, count: int) -> None:
        self.keys = sorted(f"2025/{number % 97:02}/IMG_{number:08}.jpg" for number in range(count))

    def list(self, bucket: str, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        """See ``ObjectStore``."""
        for key in self.keys:
            if key > after and key.startswith(prefix):
                yield ObjectInfo(ObjectRef(bucket, key, f"{hash(key):032x}", 5_000_000), "")

    def stat(self, bucket: str, key: str) -> ObjectInfo | None:
        """See ``ObjectStore``; a sweep must not call it."""
        raise Permanent(f"the sweep looked up {bucket}/{key}, although no object was removed")

    def get(
        self,
        bucket: str,
        key: str,
        limit: int,
        wanted: Wanted = anything,  # noqa: ARG002 -- the Protocol's
    ) -> tuple[bytes, ObjectInfo]:
        """See ``ObjectStore``: a sweep reads nothing."""
        raise Permanent(f"the sweep has read {bucket}/{key} ({limit})")

    def put(
        self,
        bucket: str,
        key: str,
        data: BinaryIO,
        content_type: str | None = None,
        user_metadata: UserMetadata | None = None,  # noqa: ARG002 -- the Protocol's
    ) -> ObjectInfo:
        """See ``ObjectStore``: a sweep writes nothing."""
        raise Permanent(f"the sweep has written {bucket}/{key} ({data}, {content_type})")

    def remove(self, bucket: str, key: str) -> None:
        """See ``ObjectStore``: a sweep removes nothing."""
        raise Permanent(f"the sweep has removed {bucket}/{key}")


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench reconcile", description=__doc__)
    parser.add_argument(
        "--count", type=int, default=100_000, help="objects in the bucket, all tagged (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="number of passes (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args(arguments)
    report = measure(chosen.count, chosen.rounds)
    if chosen.json:
        console.out(msgspec.json.encode(report).decode(), highlight=False)
        return
    console.print(f"{report['machine']}\n{report['versions']}")
    for one in report["passes"]:
        console.print(
            f"{chosen.count:,} objects confirmed in {one['seconds']:.1f} s, of which listing"
            f" {report['listing_s']:.1f} s; memory {one['memory_mb']['resident']:.0f} MB"
        )


def measure(count: int, rounds: int) -> dict[str, Any]:
    """All figures. Memory is that of this process: before, and the peak of each pass."""
    store = MadeUp(count)
    # not in TMPDIR, because the path of a socket must be short
    with tempfile.TemporaryDirectory(prefix="wt-", dir="/tmp") as folder, private_redis(Path(folder)) as (client, _):
        keys = Keys("wildtag:")
        ledger, records, inbox = Ledger(client, keys, 1000), Records(client, keys), Inbox(client, keys.inbox)
        inbox.prepare()
        infos = list(store.list(BUCKET))
        for start in track(range(0, count, CHUNK), "tagging", console=messages, transient=True):
            _tag(ledger, [info.ref for info in infos[start : start + CHUNK]])
        del infos
        began = time.perf_counter()
        listed = sum(1 for _ in store.list(BUCKET))
        listing = time.perf_counter() - began
        before, passes = memory(), list[dict[str, Any]]()
        for _ in range(rounds):
            sweeper = Sweeper(store, BUCKET, records, inbox, client, keys, Holds(client, keys))
            began, peak = time.perf_counter(), 0.0
            while not sweeper.step(0.2):
                peak = max(peak, memory()["resident"])
            passes.append({
                "seconds": time.perf_counter() - began, "seen": sweeper.progress.seen, "sent": sweeper.progress.sent,
                "gone": sweeper.progress.gone, "memory_mb": {"resident": max(peak, memory()["resident"])},
            })  # fmt: skip
        progress = sweeper.progress
        if (progress.seen, progress.sent, progress.gone) != (listed, 0, 0):
            raise Permanent(f"the sweep saw {progress}, and everything was tagged")
        return {
            "machine": machine(), "versions": versions(), "load_after": os.getloadavg(), "objects": count,
            "listing_s": listing, "memory_before_mb": before, "passes": passes,
            "reached": max(one["seconds"] for one in passes) - listing <= TARGET_S,
            "redis_mb": client.info("memory")["used_memory"] / 1e6,
        }  # fmt: skip


def _tag(ledger: Ledger, refs: Sequence[ObjectRef]) -> None:
    ledger.enter([Arrival(ref, verified=True) for ref in refs], REVISION, 1.0, 9.0)
    ledger.finish([
        Record(
            bucket=ref.bucket, key=ref.key, etag=ref.etag, state="done", finished_at=2.0,
            tags=tuple(Tag(f"label {number}", 0.2, 0.2, 0.2, (0,)) for number in range(3)),
            evidence=tuple(Evidence(f"a caption of some words, number {number}", 0.5) for number in range(10)),
            space_id=REVISION.space_id, captions_version=REVISION.captions_version,
        )
        for ref in refs
    ], 2.0)  # fmt: skip
