"""Redis streams read by consumer groups: what the inbox, the writer of tags and the notifier do alike."""

from __future__ import annotations

import math
from functools import cache
from itertools import chain
from typing import Any

from redis.exceptions import ResponseError

from workers import scripts
from workers.connection import text, translated

Entries = list[tuple[Any, Any]]
"""Pairs of an id and its fields, as redis-py gives them; an entry that was trimmed meanwhile has no fields."""


def create_group(client: Any, key: str, group: str) -> None:
    """Create a stream and a group that begins with all it holds, if they are not there."""
    with translated():
        try:
            client.xgroup_create(key, group, id="0", mkstream=True)
        except ResponseError as exc:
            if "BUSYGROUP" not in str(exc):
                raise


def read_group(client: Any, key: str, group: str, consumer: str, count: int, block_ms: int | None) -> Entries:
    """New entries for a consumer; waits up to ``block_ms`` for the first, or not at all."""
    with translated():
        return entries(client.xreadgroup(group, consumer, {key: ">"}, count=count, block=block_ms))


def claim_idle(client: Any, key: str, group: str, consumer: str, idle_ms: int, count: int) -> Entries:
    """Entries that some consumer read at least ``idle_ms`` ago and did not acknowledge; they are this one's now."""
    with translated():
        _, claimed, *deleted = client.xautoclaim(key, group, consumer, idle_ms, "0-0", count=count)
    found: Entries = [(entry, fields) for entry, fields in claimed if entry is not None]  # Redis 6 says None
    return found + [(entry, None) for entry in chain(*deleted)]


def forgotten(client: Any, key: str, group: str) -> bool:
    """Whether the stream was cut beyond what the group has read. A Redis before 7 does not say whether it was cut
    at all; then a group that has read nothing counts as one that has missed something.
    """
    with translated():
        stream = client.xinfo_stream(key)
        (read,) = (g["last-delivered-id"] for g in client.xinfo_groups(key) if text(g["name"]) == group)
    cut = stream.get("entries-added", math.inf) > stream["length"]
    first = stream["first-entry"]
    return first is not None and cut and _place(read) < _place(first[0])


def drop_forgotten(client: Any, key: str, group: str) -> int:
    """Acknowledge what was read, is not dealt with, and was cut off meanwhile; gives how many entries."""
    dropped = 0
    with translated():
        while first := client.xrange(key, count=1):
            cut = client.xpending_range(key, group, "-", f"({text(first[0][0])}", 1000)
            if not cut:
                break
            dropped += client.xack(key, group, *(entry["message_id"] for entry in cut))
    return dropped


def skip_lost(client: Any, key: str, group: str) -> int:
    """Entries that were trimmed before the group read them; it goes on with the oldest that is there.

    For who counts a loss: it is told once, where ``forgotten`` holds until the group reads on. 1 stands for a number
    that Redis before 7 does not know. The stream and the group must be there.
    """
    with translated():
        return int(client.register_script(_skip_lost())(args=[key, group]))


def _place(entry: Any) -> tuple[int, ...]:
    return tuple(map(int, text(entry).split("-")))


def entries(answer: Any) -> Entries:
    """The entries in the answer to reading one stream: a list by RESP2, a map by RESP3."""
    if not answer:
        return []
    found: Entries = next(iter(answer.values()))[0] if isinstance(answer, dict) else answer[0][1]
    return found


@cache
def _skip_lost() -> str:
    return scripts.source("skip_lost")
