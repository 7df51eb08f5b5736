"""Redis streams with consumer groups, as used by the inbox, the writer and the notifier."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import chain
from typing import Any, TypeVar

import structlog
from redis.exceptions import ResponseError

from vectordb.errors import Transient
from workers.redis import scripts
from workers.redis.connection import text, translated

log = structlog.get_logger()

T = TypeVar("T")
NO_GROUP = ("NOGROUP", "no such key")  # how Redis says that a group, or its stream, does not exist
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0  # between two retries of entries with a fault of their own

Entries = list[tuple[Any, Any]]
"""Pairs of an id and its fields, as redis-py returns them; the fields of a trimmed entry are ``None``."""


def create_group(client: Any, key: str, group: str) -> None:
    """Create a stream and a group that starts at its first entry, if they do not exist."""
    with translated():
        try:
            client.xgroup_create(key, group, id="0", mkstream=True)
        except ResponseError as exc:
            if "BUSYGROUP" not in str(exc):
                raise


def with_group(client: Any, key: str, group: str, call: Callable[[], T]) -> T:
    """Make a call that needs a group. If the group is gone, since Redis has lost its data, it is created again."""
    try:
        with translated():
            return call()
    except ResponseError as exc:
        if not str(exc).startswith(NO_GROUP):
            raise
    log.warning("consumer group created again", stream=key, group=group, reason="Redis has lost it")
    create_group(client, key, group)
    with translated():
        return call()


def read_group(client: Any, key: str, group: str, consumer: str, count: int, block_ms: int | None) -> Entries:
    """New entries for a consumer. Waits up to ``block_ms`` for the first; ``None``: does not wait."""
    return with_group(
        client, key, group,
        lambda: entries(client.xreadgroup(group, consumer, {key: ">"}, count=count, block=block_ms)),
    )  # fmt: skip


class Leftovers:
    """Decides when a consumer retries entries that it has read but not acknowledged, and from which entry on.

    ``after``: for ``read_again``.
    """

    def __init__(self) -> None:
        self.after = "0"
        self._some = False
        self._due = 0.0
        self._pause = FIRST_PAUSE_S

    def due(self) -> bool:
        """Whether to retry now."""
        return self._some and time.monotonic() >= self._due

    def interrupted(self) -> None:
        """Processing was interrupted by a fault: retry as soon as possible."""
        self._some, self._due = True, 0.0

    @contextmanager
    def interrupted_by_faults(self) -> Iterator[None]:
        """Wrap reading and processing: calls ``interrupted`` if the block raises ``Transient``."""
        try:
            yield
        except Transient:
            self.interrupted()
            raise

    def put_off(self, *, away: bool) -> None:
        """Some entries are left. ``away``: until a service is available again; else each has its own fault and is
        retried with growing pauses.
        """
        self._some = True
        self._due = 0.0 if away else time.monotonic() + self._pause
        self._pause = FIRST_PAUSE_S if away else min(LONGEST_PAUSE_S, self._pause * 2)

    def looked(self, last: str | None, *, left: bool) -> None:
        """A page was processed. ``last``: its last entry, if more may follow; ``left``: some entries are left."""
        if last is not None:
            self.after = last
        elif self.after == "0" and not left:
            self._some, self._pause = False, FIRST_PAUSE_S
        else:  # once more from the beginning, to be sure that nothing is left
            self.after = "0"


def read_again(client: Any, key: str, group: str, consumer: str, count: int, after: str = "0") -> Entries:
    """Entries that this consumer has read but not acknowledged, after ``after``, oldest first.

    After a fault a consumer continues with them at once, without waiting until they count as idle.
    """
    return with_group(
        client, key, group, lambda: entries(client.xreadgroup(group, consumer, {key: after}, count=count))
    )


def claim_idle(client: Any, key: str, group: str, consumer: str, idle_ms: int, count: int) -> Entries:
    """Claim entries that any consumer read at least ``idle_ms`` ago and did not acknowledge."""
    _, claimed, *deleted = with_group(
        client, key, group, lambda: client.xautoclaim(key, group, consumer, idle_ms, "0-0", count=count)
    )
    found: Entries = [(entry, fields) for entry, fields in claimed if entry is not None]  # Redis 6 returns None
    return found + [(entry, None) for entry in chain(*deleted)]


def forgotten(client: Any, key: str, group: str) -> bool:
    """Whether the stream was trimmed beyond the last entry that the group has read.

    Redis before 7 does not report trimming; there a group that has read nothing counts as one that missed entries.
    """

    def groups() -> tuple[Any, list[Any]]:
        stream = client.xinfo_stream(key)
        read = [g["last-delivered-id"] for g in client.xinfo_groups(key) if text(g["name"]) == group]
        if not read:
            raise ResponseError(f"NOGROUP {group}")
        return stream, read

    stream, (read,) = with_group(client, key, group, groups)
    cut = stream.get("entries-added", math.inf) > stream["length"]
    first = stream["first-entry"]
    return first is not None and cut and entry_order(read) < entry_order(first[0])


def drop_forgotten(client: Any, key: str, group: str) -> int:
    """Acknowledge entries that were read, not processed, and then trimmed. Returns how many."""

    def drop() -> int:
        dropped = 0
        while first := client.xrange(key, count=1):
            cut = client.xpending_range(key, group, "-", f"({text(first[0][0])}", 1000)
            if not cut:
                break
            dropped += client.xack(key, group, *(entry["message_id"] for entry in cut))
        return dropped

    return with_group(client, key, group, drop)


def skip_lost(client: Any, key: str, group: str) -> int:
    """Skip entries that were trimmed before the group read them. Returns how many.

    The group continues with the oldest existing entry, so a loss is counted once. 1 stands for an unknown number
    (Redis before 7). 0 if there is no such stream or group.
    """
    with translated():
        return int(client.register_script(_skip_lost())(keys=[key], args=[group]))


def added_at(entry: str) -> float:
    """When an entry was added, in Unix seconds by the clock of its server. ``entry``: its id."""
    return int(entry.partition("-")[0]) / 1000


def entry_order(entry: Any) -> tuple[int, ...]:
    """The sort key of an entry's id: milliseconds and sequence number."""
    return tuple(map(int, text(entry).split("-")))


def entries(answer: Any) -> Entries:
    """The entries in the reply to reading one stream: a list in RESP2, a map in RESP3."""
    if not answer:
        return []
    found: Entries = next(iter(answer.values()))[0] if isinstance(answer, dict) else answer[0][1]
    return found


@cache
def _skip_lost() -> str:
    return scripts.source("skip_lost")
