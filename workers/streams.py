"""Redis streams read by consumer groups: what the inbox and the writer of tags do alike."""

from __future__ import annotations

from typing import Any

from redis.exceptions import ResponseError

from workers.connection import translated

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
        claimed: Entries = client.xautoclaim(key, group, consumer, idle_ms, "0-0", count=count)[1]
        return claimed


def entries(answer: Any) -> Entries:
    """The entries in the answer to reading one stream: a list by RESP2, a map by RESP3."""
    if not answer:
        return []
    found: Entries = next(iter(answer.values()))[0] if isinstance(answer, dict) else answer[0][1]
    return found
