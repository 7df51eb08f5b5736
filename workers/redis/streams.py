"""Redis streams read by consumer groups: what the inbox, the writer of tags and the notifier do alike."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import chain
from typing import Any

from redis.exceptions import ResponseError

from vectordb.errors import Transient
from workers.redis import scripts
from workers.redis.connection import text, translated

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0  # between two looks at entries that were put off for a fault of their own

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


class Leftovers:
    """Whether a consumer looks again at what it has read and not dealt with, when, and behind which entry.

    ``after``: for ``read_again``.
    """

    def __init__(self) -> None:
        self.after = "0"
        self._some = False
        self._due = 0.0
        self._pause = FIRST_PAUSE_S

    def due(self) -> bool:
        """Whether to look now."""
        return self._some and time.monotonic() >= self._due

    def interrupted(self) -> None:
        """A fault broke off what was being done: look as soon as it has passed."""
        self._some, self._due = True, 0.0

    @contextmanager
    def interrupted_by_faults(self) -> Iterator[None]:
        """Around what reads entries and deals with them: ``interrupted`` where ``Transient`` leaves it."""
        try:
            yield
        except Transient:
            self.interrupted()
            raise

    def put_off(self, *, away: bool) -> None:
        """Some entries are left. ``away``: until a service is back; else they are alone with their fault, and are
        looked at again later and later.
        """
        self._some = True
        self._due = 0.0 if away else time.monotonic() + self._pause
        self._pause = FIRST_PAUSE_S if away else min(LONGEST_PAUSE_S, self._pause * 2)

    def looked(self, last: str | None, *, left: bool) -> None:
        """A page was looked at. ``last``: its last entry, where more may come behind it; ``left``: some of it."""
        if last is not None:
            self.after = last
        elif self.after == "0" and not left:
            self._some, self._pause = False, FIRST_PAUSE_S
        else:  # from the beginning again, to be sure that nothing is left
            self.after = "0"


def read_again(client: Any, key: str, group: str, consumer: str, count: int, after: str = "0") -> Entries:
    """Entries that this very consumer has read and not acknowledged, from behind ``after`` on, the oldest first.

    Whoever was stopped by something that is gone by now takes them up so, and need not wait until they count as idle.
    """
    with translated():
        return entries(client.xreadgroup(group, consumer, {key: after}, count=count))


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
    return first is not None and cut and entry_order(read) < entry_order(first[0])


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


def entry_order(entry: Any) -> tuple[int, ...]:
    """What the ids of a stream's entries are compared by: milliseconds and a number."""
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
