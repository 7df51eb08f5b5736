"""The receivers that Redis has something of: what a notifier reported of them, how they stand, and what is left of
those that are not configured any more.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec
from redis.exceptions import ResponseError

from vectordb.decoders import from_json
from vectordb.errors import Permanent
from workers.lifecycle.times import rfc3339
from workers.notifying.outbox import OUTCOMES, counted
from workers.notifying.source import group_of
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.redis.streams import entry_order
from workers.settings.webhook_kinds import DEFAULT_RECEIVER, NAME, RESULTS

SERVED_S = 15.0  # after its last report a notifier counts as stopped; it reports every two seconds
PARTS = ("waiting", "due", "dead", "counts")


class Served(msgspec.Struct, frozen=True):
    """What a notifier reports. ``place``: the address without its path; ``at``: Unix seconds."""

    place: str
    kinds: Sequence[str]
    at: float


class Standing(msgspec.Struct, frozen=True):
    """How a receiver stands. Times are RFC 3339 in UTC.

    ``served``: a notifier runs for it. ``waiting``, ``waiting_bytes``: deliveries. ``dead_letters``: those that are
    stored; ``dead``: all so far. ``lost``: feed entries that were trimmed before they were read. ``unread``: entries
    that are still to be read; ``None`` if Redis does not know. ``held_until``: the receiver asked for this pause.
    """

    name: str
    place: str
    events: Sequence[str]
    served: bool
    paused_since: str | None
    waiting: int
    waiting_bytes: int
    delivered: int
    retried: int
    dead: int
    dead_letters: int
    lost: int
    unread: int | None
    failing_since: str | None
    held_until: str | None
    last_at: str | None
    last_answer: str | None


class InUse(Permanent):
    """A notifier runs for the receiver, or there is already one of that name."""


class Receivers:
    """Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._clock = clock

    def report(self, served: Collection[tuple[str, str, Collection[str]]], *, stopped: bool = False) -> None:
        """A notifier runs for these, or is ``stopped``: name, place and kinds of each."""
        now = 0.0 if stopped else self._clock()
        with translated():
            self._redis.hset(
                self._keys.receivers,
                mapping={
                    name: msgspec.json.encode(Served(place, sorted(kinds), now)) for name, place, kinds in served
                },
            )

    def names(self) -> list[str]:
        """All that Redis has something of, sorted."""
        default = [self._keys.notify(part) for part in PARTS]
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            pipe.hkeys(self._keys.receivers)
            pipe.exists(*default)  # before there were several, none was noted
            found, older = pipe.execute()
        return sorted({text(name) for name in found} | ({DEFAULT_RECEIVER} if older else set()))

    def standing(self) -> list[Standing]:
        """How each receiver stands."""
        names, now = self.names(), self._clock()
        if not names:
            return []
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            pipe.hgetall(self._keys.receivers)
            pipe.hgetall(self._keys.paused_receivers)
            for name in names:
                pipe.hlen(self._keys.notify("waiting", name))
                pipe.xlen(self._keys.notify("dead", name))
                pipe.hgetall(self._keys.notify("counts", name))
            noted, paused, *rest = pipe.execute()
        unread = self._unread()
        return [
            _standing(
                name, noted.get(name.encode()), paused.get(name.encode()), waiting, dead, counted(counts),
                unread.get(group_of(name)), now,
            )
            for name, waiting, dead, counts in zip(names, rest[::3], rest[1::3], rest[2::3], strict=True)
        ]  # fmt: skip

    def pause(self, name: str) -> None:
        """Send nothing to a receiver until ``resume``; its deliveries wait. Raises ``Permanent`` if it is unknown."""
        self._require(name)
        with translated():
            self._redis.hsetnx(self._keys.paused_receivers, name, self._clock())

    def resume(self, name: str) -> bool:
        """Whether it was paused. Raises ``Permanent`` if it is unknown."""
        self._require(name)
        with translated():
            return bool(self._redis.hdel(self._keys.paused_receivers, name))

    def forget(self, name: str) -> int:
        """Drop what is left of a receiver: its deliveries, dead letters, counts and position.

        Returns the number of deliveries that waited. Raises ``InUse`` while a notifier runs for it, and ``Permanent``
        if it is unknown.
        """
        self._require(name)
        self._require_stopped(name)
        with translated():
            pipe = self._redis.pipeline(transaction=True)
            pipe.hlen(self._keys.notify("waiting", name))
            pipe.delete(*self._parts(name))
            pipe.hdel(self._keys.receivers, name)
            pipe.hdel(self._keys.paused_receivers, name)
            waited, *_ = pipe.execute()
            for stream in self._streams:
                if self._redis.exists(stream):
                    self._redis.xgroup_destroy(stream, group_of(name))
        return int(waited)

    def rename(self, old: str, new: str) -> None:
        """Give what is there of a receiver another name. It goes on where it was.

        Raises ``InUse`` while a notifier runs for it, or if there is something of the new one; ``Permanent`` if the
        old one is unknown, or the new name is not valid.
        """
        self._require(old)
        self._require_stopped(old)
        if re.fullmatch(NAME, new) is None:
            raise Permanent(f"{new!r} is not a name: use up to 40 of the characters a-z, 0-9, _ and -")
        if new in self.names():
            raise InUse(f"there is already a receiver {new}: first `wildtag webhooks forget {new}`")
        for stream in self._streams:
            self._copy_group(stream, group_of(old), group_of(new))
        with translated():
            existing = [part for part in PARTS if self._redis.exists(self._keys.notify(part, old))]
            noted, paused = (
                self._redis.hget(key, old) for key in (self._keys.receivers, self._keys.paused_receivers)
            )
            pipe = self._redis.pipeline(transaction=True)
            for part in existing:
                pipe.rename(self._keys.notify(part, old), self._keys.notify(part, new))
            pipe.hdel(self._keys.receivers, old)
            pipe.hset(self._keys.receivers, new, noted or msgspec.json.encode(Served("", (), 0.0)))
            if paused is not None:
                pipe.hdel(self._keys.paused_receivers, old)
                pipe.hset(self._keys.paused_receivers, new, paused)
            pipe.execute()
            for stream in self._streams:
                if self._redis.exists(stream):
                    self._redis.xgroup_destroy(stream, group_of(old))

    @property
    def _streams(self) -> tuple[str, str]:
        return self._keys.feed, self._keys.batches_finished

    def _parts(self, name: str) -> list[str]:
        return [self._keys.notify(part, name) for part in PARTS]

    def _copy_group(self, stream: str, old: str, new: str) -> None:
        """A group that goes on where another one is, or with the oldest entry that this one did not acknowledge."""
        with translated():
            if not self._redis.exists(stream):
                return
            groups = {text(one["name"]): one for one in self._redis.xinfo_groups(stream)}
            if old not in groups:
                return
            at, read = text(groups[old]["last-delivered-id"]), groups[old].get("entries-read")
            if pending := self._redis.xpending_range(stream, old, "-", "+", 1):
                milliseconds, number = entry_order(pending[0]["message_id"])
                at = f"{milliseconds}-{number - 1}" if number else f"{milliseconds - 1}-{2**64 - 1}"
                read = None
            try:
                self._redis.xgroup_create(stream, new, id=at, entries_read=read)
            except ResponseError as exc:
                if "BUSYGROUP" not in str(exc):
                    raise

    def _unread(self) -> dict[str, int | None]:
        """Entries of the feed that each group has not read, as far as Redis knows."""
        with translated():
            try:
                groups = self._redis.xinfo_groups(self._keys.feed)
            except ResponseError as exc:
                if "no such key" not in str(exc):
                    raise
                return {}
        return {text(one["name"]): one.get("lag") for one in groups}

    def _require(self, name: str) -> None:
        names = self.names()
        if name not in names:
            there = f"there are {', '.join(names)}" if names else "no notifier has run yet"
            raise Permanent(f"there is no receiver {name!r}; {there}")

    def _require_stopped(self, name: str) -> None:
        with translated():
            noted = _served(self._redis.hget(self._keys.receivers, name))
        if noted is not None and self._clock() - noted.at < SERVED_S:
            raise InUse(
                f"a notifier runs for {name}: take it out of the configuration and restart the notifier, or stop it,"
                f" and try again {SERVED_S:.0f} seconds later"
            )


def not_served(name: str, place: str, kinds: Collection[str]) -> Standing:
    """A receiver that no notifier has served yet."""
    noted = msgspec.json.encode(Served(place, sorted(kinds), 0.0))
    return _standing(name, noted, None, 0, 0, {}, None, SERVED_S)


def _served(noted: bytes | None) -> Served | None:
    try:
        return from_json(noted, Served) if noted else None
    except (msgspec.DecodeError, UnicodeDecodeError):  # of another version of wildtag
        return None


def _standing(
    name: str, noted: bytes | None, paused: bytes | None, waiting: int, dead: int, counts: dict[str, str],
    unread: int | None, now: float,
) -> Standing:  # fmt: skip
    served = _served(noted)
    held = float(counts.get("held_until", 0))
    outcomes = {outcome: int(counts.get(outcome, 0)) for outcome in OUTCOMES}
    return Standing(
        name=name, place=served.place if served else "", events=served.kinds if served else RESULTS,
        served=served is not None and now - served.at < SERVED_S,
        paused_since=_when(text(paused)) if paused else None,
        waiting=int(waiting), waiting_bytes=int(counts.get("bytes", 0)), dead_letters=int(dead), unread=unread,
        failing_since=_when(counts.get("failing_since")), held_until=_when(str(held)) if held > now else None,
        last_at=_when(counts.get("last_at")), last_answer=counts.get("last_answer"), **outcomes,
    )  # fmt: skip


def _when(seconds: str | None) -> str | None:
    return None if seconds is None else rfc3339(float(seconds))
