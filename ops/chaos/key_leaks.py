"""The keys of Redis that belong to nothing, when nothing is on its way (``ops.chaos.key_rules``)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator
from functools import cache
from typing import Any

from ops.chaos.key_rules import CELERY, RULES, Key, Known, absent
from workers.backup.contents import celerys, prepared, rule_of
from workers.lifecycle.object_numbers import PAGE, member_of
from workers.redis.connection import raw, text
from workers.settings.webhook_kinds import DEFAULT_RECEIVER
from workers.wiring.wiring import Wiring

PATIENCE_S = 60.0  # within which the processes have removed what has just become of no use
_LOOK_S = 2.0
_SHOWN = 5  # of one pattern


def leaked_keys(wiring: Wiring, objects: Collection[str], patience_s: float = PATIENCE_S) -> list[str]:
    """What belongs to nothing in each of several looks: a text each. ``objects``: the keys of those in the bucket."""
    deadline = time.monotonic() + patience_s
    found = look(wiring, objects)
    while found and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
        again = look(wiring, objects)
        found = [one for one in found if one in again]
    return found


def look(wiring: Wiring, objects: Collection[str]) -> list[str]:
    """What belongs to nothing now."""
    redis: Any = wiring.redis
    prefix = raw(wiring.settings.key_prefix)
    names = sorted({name.removeprefix(prefix) for name in redis.scan_iter(count=1000) if name.startswith(prefix)})
    strangers = [f"the key {name!r} of Redis is not wildtag's" for name in redis.scan_iter(count=1000)
                 if not name.startswith(prefix)]  # fmt: skip
    known = _known(wiring, objects, names)
    found: dict[str, list[str]] = {}
    for name in names:
        rule, part, pattern = key_rule(name)
        if rule is None:
            found.setdefault("", []).append(f"the key {name!r} of Redis is in no row of the layout")
            continue
        key = _read(redis, prefix, name, part)
        if key is not None:
            texts = [f"the key {name!r} of Redis {what}" for what in rule(known, key)]
            found.setdefault(pattern, []).extend(texts)
    return strangers + [one for texts in found.values() for one in texts[:_SHOWN]]


def key_rule(name: bytes) -> tuple[Any, str, str]:
    """The rule of a key, what stands for the capitals of its pattern, and the pattern."""
    if prepared(name):
        return absent, "", "next:"
    row = rule_of(name)
    if row is not None:
        return RULES[row.pattern], _part(text(name), row.pattern), row.pattern
    if celerys(name):
        queue = text(name).partition("\x06")[0]
        return CELERY.get(queue, lambda *_: iter(())), "", queue
    return None, "", ""


def _part(name: str, pattern: str) -> str:
    found = _expression(pattern).fullmatch(name)
    if found is not None:
        return next(iter(found.groups()), "")
    return name.removeprefix(f"{pattern}:")  # of a receiver


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    begin, _, end = re.sub("[A-Z]{2,}", "\0", pattern).partition("\0")
    variable = "(.+)" if "\0" in re.sub("[A-Z]{2,}", "\0", pattern) else ""
    return re.compile(re.escape(begin) + variable + re.escape(end), re.DOTALL)


def _read(redis: Any, prefix: bytes, name: bytes, part: str) -> Key | None:
    """A key as it is now; ``None`` if it is not there any more."""
    full = prefix + name
    kind, ttl = text(redis.type(full)), int(redis.ttl(full))
    read: dict[str, Callable[[], Any]] = {
        "none": lambda: None, "string": lambda: b"", "hash": lambda: redis.hgetall(full),
        "set": lambda: redis.smembers(full), "zset": lambda: redis.zrange(full, 0, -1),
        "list": lambda: redis.lrange(full, 0, 999), "stream": lambda: [at for at, _ in redis.xrange(full, count=10)],
    }  # fmt: skip
    values = read[kind]()
    if values is None:
        return None
    length = {"list": redis.llen, "stream": redis.xlen}.get(kind, lambda _: len(values))(full)
    return Key(name, part, ttl, int(length), () if kind == "string" else values)


def _known(wiring: Wiring, objects: Collection[str], names: Collection[bytes]) -> Known:
    redis: Any = wiring.redis
    keys, settings = wiring.keys, wiring.settings
    families = {family: {text(name.removeprefix(family)) for name in names if name.startswith(family)}
                for family in (b"record:", b"batch:")}  # fmt: skip
    return Known(
        bucket=settings.bucket, objects={f"{settings.bucket}/{key}" for key in objects},
        records=families[b"record:"], numbers=dict(_numbers(redis, keys, names)),
        tags=set(map(text, redis.zrange(keys.tags, 0, -1))), stated=set(map(text, redis.smembers(keys.stated))),
        batches={batch for batch in families[b"batch:"] if ":" not in batch},
        api_keys=set(map(text, redis.hkeys(keys.api_keys))),
        receivers={DEFAULT_RECEIVER, *(one.name for one in wiring.receivers.standing())},
        feed_length=settings.feed_length, keys=set(names),
    )  # fmt: skip


def _numbers(redis: Any, keys: Any, names: Collection[bytes]) -> Iterator[tuple[bytes, str]]:
    listed = set(redis.zrange(keys.records, 0, -1))
    for name in names:
        if name.startswith(b"numbered:"):
            page = int(name.removeprefix(b"numbered:"))
            for field, oid in redis.hgetall(keys.numbered(page)).items():
                if member_of(page * PAGE + int(field)) in listed:
                    yield member_of(page * PAGE + int(field)), text(oid)
