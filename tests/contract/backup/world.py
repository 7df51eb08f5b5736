"""A stack's keys for tests of backups, with one partition or several, and what a test compares."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tests.contract.redis.cluster_objects import REVISION, record, ref
from vectordb.captions import SOURCE, Caption, caption_id
from vectordb.library import Manifest
from workers.backup.contents import LEFT, RULES, SAVED, rule_of
from workers.backup.places import FolderPlace, Place
from workers.backup.writing import Progress
from workers.embedded.backup_access import parts_of
from workers.embedded.backup_restoring import Restored, restored
from workers.embedded.backup_writing import Outcome, backed_up
from workers.gateway.api_keys import Scope
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.ledger import Arrival
from workers.lifecycle.statements import Statement
from workers.redis.encoders import ChosenEncoder
from workers.redis.layout import RESTORING
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring

NEW = frozenset({"layout-version", "refill", "images:verify", "partitions"})  # written anew by a restore
DIMENSION = 8  # of captions
LABELS = ("cat", "Dogs", "egyptian cat", "coffee mug")


def wiring(url: str, home: Path, prefix: str = "{test}:", partitions: int = 1, **more: Any) -> Wiring:
    """The adapters of a stack."""
    home.mkdir(parents=True, exist_ok=True)
    return Wiring(Settings(redis_url=url, key_prefix=prefix, partitions=partitions, home=home, **more))


def filled(world: Wiring, objects: int = 30) -> None:
    """Put something of everything under the prefix, as wildtag does."""
    world.layout.require()
    w = world
    for number in range(objects):
        w.ledger.enter([Arrival(ref(number))], REVISION, 1.0 + number, 60.0)
        if number % 5:
            w.ledger.finish([record(ref(number), LABELS[number % len(LABELS)])], 2.0 + number)
    w.ledger.remove(["inbox/1.jpg"])
    w.statements.change("inbox/3.jpg", "Chelsea", Statement("Chelsea", accepted=True, etag="etag-3", said_at=5.0))
    w.api_keys.create("for me", Scope.READ)
    w.inbox.append([ObjectEvent("created", "inbox", "new.jpg")])
    w.low_priority_inbox.append([ObjectEvent("created", "inbox", "2.jpg", force=True)])
    w.backlog.add(["inbox/4.jpg", "inbox/6.jpg"])
    in_use = ChosenEncoder("bundled", "auto", w.space.id, "", 1.0, ("some/clip",))
    redis: Any = w.redis
    redis.set(w.keys.encoder, msgspec.json.encode(in_use))


def one_of_each(world: Wiring) -> list[str]:
    """Write a key of every pattern that is saved and that ``filled`` has not written; returns the patterns."""
    redis: Any = world.redis
    written = []
    there = {getattr(rule_of(_bare(name)), "pattern", "") for name in values(world)}
    apart = {"ledger", "entry:OID", "segmenting", "record:OID", "records", "object-number"}
    for rule in RULES:
        if rule.treatment is not SAVED or rule.pattern in there | apart:
            continue
        key = world.keys.prefix + re.sub(r"[A-Z]{2,}", "x1", rule.pattern)
        match rule.kind:
            case "string":
                redis.set(key, b"7")
            case "hash":
                redis.hset(key, mapping={f"f{n}": b"\xff%d" % n for n in range(1200)})
            case "zset":
                redis.zadd(key, {f"m{n}": n + 0.125 for n in range(1200)})
            case "set":
                redis.sadd(key, *(f"m{n}" for n in range(1200)))
            case "list":
                redis.rpush(key, *(f"m{n}" for n in range(1200)))
            case "stream":
                for n in range(1200):
                    redis.xadd(key, {"n": n, b"\xff": b"\xfe"}, id=f"{n + 1}-{n}")
        written.append(rule.pattern)
    redis.pexpire(f"{world.keys.prefix}idempotency:x1", 60_000)
    return written


def unit(count: int, dimension: int, seed: int = 1) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def captioned(
    world: Wiring, texts: list[str], taught: list[str], name: str = "mine", recorded: int | None = None
) -> Manifest:
    """Make a version with captions, some of them taught, and use it. ``recorded``: a wrong number of them."""
    count = len(texts) if recorded is None else recorded
    manifest = Manifest(name, "1", "space", DIMENSION, count, None, "2026-11-30T16:00:00+00:00")
    captions = [Caption(caption_id(text), text, {}) for text in texts]
    with world.library.building("space", f"{name}@1", DIMENSION) as building:
        building.index.add(captions, unit(len(texts), DIMENSION))
        building.finish(manifest)
    index = world.library.open("space", f"{name}@1")
    if taught:
        index.add([Caption(caption_id(one), one, {SOURCE: "me"}) for one in taught], unit(len(taught), DIMENSION, 2))
    index.close()
    world.library.use("space", f"{name}@1")
    return manifest


def values(world: Wiring) -> dict[bytes, Any]:
    """Everything under the prefix and in the partitions, by the name without the prefix (``N/`` of a partition)."""
    found: dict[bytes, Any] = {}
    for part in parts_of(world):
        redis: Any = part.client
        begin = part.keys.prefix.encode()
        for key in redis.scan_iter(match=f"{part.keys.prefix}*", count=1000):
            name = bytes(key).removeprefix(begin)
            found[name if part.number < 0 else b"%d/%s" % (part.number, name)] = _value(redis, key)
    return found


def _bare(name: bytes) -> bytes:
    return name.partition(b"/")[2] if re.match(rb"\d+/", name) else name


def _value(redis: Any, key: bytes) -> Any:
    match redis.type(key):
        case b"string":
            return redis.get(key)
        case b"hash":
            return redis.hgetall(key)
        case b"zset":
            return redis.zrange(key, 0, -1, withscores=True)
        case b"set":
            return redis.smembers(key)
        case b"list":
            return redis.lrange(key, 0, -1)
        case _:
            return redis.xrange(key)


def differences(before: Mapping[bytes, Any], after: Mapping[bytes, Any]) -> list[str]:
    """What a restore has changed and should not have. Deadlines and deliveries are left out."""
    found = []
    for name in sorted(before.keys() | after.keys()):
        bare = _bare(name)
        rule = rule_of(bare)
        if rule is None or rule.pattern in NEW | {"notify:due", "notify:counts"} or bare.startswith(b"lock:"):
            continue
        one, other = before.get(name), after.get(name)
        if rule.treatment is LEFT:
            one = None
        if rule.pattern == "ledger":
            one, other = ([oid for oid, _ in value or ()] for value in (one, other))
            one, other = sorted(one), sorted(other)
        if one != other and not (not one and not other):
            found.append(f"{name!r}: {str(one)[:200]} -> {str(other)[:200]}")
    return found


def save(world: Wiring, to: Path | Place, progress: Progress | None = None, **more: Any) -> Outcome:
    """Back up without captions and images."""
    place = FolderPlace(to) if isinstance(to, Path) else to
    options: dict[str, Any] = {"keep": None, "captions": False, "images": False, **more}
    return backed_up(world.settings, place, progress or Progress(), **options)


def put_back(world: Wiring, outcome: Outcome, place: Path | Place, progress: Progress | None = None,
             **more: Any) -> Restored:  # fmt: skip
    """Restore a backup; no process is running, so none is looked for."""
    options: dict[str, Any] = {"replace": False, "images": True, "require_stopped": lambda *_: None, **more}
    at = FolderPlace(place) if isinstance(place, Path) else place
    return restored(world.settings, at, outcome.manifest, progress or Progress(), **options)


def restoring(world: Wiring) -> bool:
    """Whether a restore has begun and not ended."""
    return str(world.layout.recorded() or "").startswith(RESTORING)
