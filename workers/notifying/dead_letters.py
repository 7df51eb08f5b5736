"""Deliveries that failed permanently, of all receivers: listed, and sent again on request."""

from __future__ import annotations

import heapq
import re
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import msgspec

from vectordb.decoders import from_msgpack
from workers.notifying.delivery import Delivery, subject_of
from workers.notifying.receivers import Receivers
from workers.redis import scripts
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.redis.streams import added_at, entry_order
from workers.settings.webhook_kinds import DEFAULT_RECEIVER, NAME

_ID = re.compile(rf"(?:{NAME}:)?(?P<entry>[0-9]{{1,19}}-[0-9]{{1,19}})")
"""One digit less than the largest id in Redis. Those of the receiver of the variables have no name."""


def is_id(text: str) -> bool:
    """Whether this can be the id of a dead letter. The smallest id, ``0-0``, is never used, and Redis refuses it."""
    found = _ID.fullmatch(text)
    return found is not None and set(found["entry"]) != {"0", "-"}


class DeadLetter(msgspec.Struct, frozen=True):
    """A delivery that was given up, without its body. ``since``: when it was read from the feed (Unix seconds).

    ``batch``: the id of a finished batch; then there is no ``bucket`` and ``key``.
    """

    id: str
    delivery: str
    type: str
    bucket: str
    key: str
    since: float
    died_at: float
    attempts: int
    reason: str
    receiver: str = DEFAULT_RECEIVER
    batch: str = ""

    @property
    def subject(self) -> str:
        """What it is about, for people."""
        return subject_of(self.batch, self.bucket, self.key)


class DeadLetters:
    """A limited number of dead letters of each receiver; the oldest are deleted first.

    Raises ``StoreUnavailable``.
    """

    def __init__(self, client: Client, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._clock = clock
        self._receivers = Receivers(client, keys, clock)
        self._replay = self._redis.register_script(scripts.source("replay_delivery"))

    def list(self, limit: int = 50, after: str | None = None, receiver: str | None = None) -> list[DeadLetter]:
        """Newest first; ``after``: only those that follow this one. An unknown id is not an error.

        ``receiver``: only its dead letters.
        """
        if after is not None and not is_id(after):
            return []
        names = [receiver] if receiver is not None else self._receivers.names() or [DEFAULT_RECEIVER]
        last = None if after is None else _split(after)
        pages = [self._page(name, limit, last) for name in names]
        merged = heapq.merge(*pages, key=lambda one: _order(*_split(one.id)))
        return list(islice(merged, limit))

    def _page(self, receiver: str, limit: int, last: tuple[str, str] | None) -> Sequence[DeadLetter]:
        upto = "+" if last is None else last[1]
        with translated():
            found = self._redis.xrevrange(self._keys.notify("dead", receiver), upto, count=limit + 1)
        letters = [_letter(receiver, text(entry), _delivery(fields)) for entry, fields in found]
        if last is not None:
            letters = [one for one in letters if _order(*_split(one.id)) > _order(*last)]
        return letters[:limit]

    def replay(self, letter: str) -> bool:
        """Send it again, now and with the attempts of a new delivery. ``False`` if the id is unknown.

        The delivery keeps its own id, so a receiver that already has it can recognise it.
        """
        if not is_id(letter):
            return False
        receiver, entry = _split(letter)
        with translated():
            found = self._redis.xrange(self._keys.notify("dead", receiver), entry, entry)
            if not found:
                return False
            fresh = msgspec.structs.replace(_delivery(found[0][1]), attempts=0, reason="")
            packed = msgspec.msgpack.encode(fresh)
            return bool(
                self._replay(
                    keys=[self._keys.notify(name, receiver) for name in ("waiting", "due", "dead", "counts")],
                    args=[entry, fresh.id, packed, self._clock()],
                )
            )


def _split(letter: str) -> tuple[str, str]:
    """The receiver, and the id of the entry in its stream."""
    receiver, _, entry = letter.rpartition(":")
    return receiver or DEFAULT_RECEIVER, entry


def _order(receiver: str, entry: str) -> tuple[int, int, str]:
    """The sort key: newest first."""
    milliseconds, number = entry_order(entry)
    return -milliseconds, -number, receiver


def _delivery(fields: Any) -> Delivery:
    return from_msgpack(fields[b"delivery"], Delivery)


def _letter(receiver: str, entry: str, d: Delivery) -> DeadLetter:
    name = entry if receiver == DEFAULT_RECEIVER else f"{receiver}:{entry}"
    return DeadLetter(
        name, d.id, d.type, d.bucket, d.key, d.since, added_at(entry), d.attempts, d.reason, receiver, d.batch
    )  # fmt: skip
