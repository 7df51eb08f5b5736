"""Notices that Redis has lost all keys while processes run: it was emptied, or came back without its data.

A process remembers the ``P data-id`` that it has seen. If it is another one, everything was lost in between, and the
process starts again what it had done: the layout version is recorded again, groups are created by their readers, the
bucket is compared from its beginning.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.redis.layout import VERSION, Layout, OtherLayout, refusal
from workers.redis.partition_loss import PartitionLoss

log = structlog.get_logger()

LONGEST_S = 86_400.0  # after which records count as made again, though no comparison of the bucket has ended


class DataLoss:
    """Notices a loss. Raises ``StoreUnavailable``, and ``OtherLayout`` if the keys are of another version now."""

    def __init__(
        self, client: Client, keys: Keys, layout: Layout, partition_loss: PartitionLoss | None = None
    ) -> None:
        """``partition_loss``: looks at the partitions, if there are several."""
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._layout = layout
        self._partition_loss = partition_loss
        self._known: str | None = None
        self._calls: list[Callable[[], object]] = []

    def on_loss(self, call: Callable[[], object]) -> None:
        """Have this called after each loss of all keys; if it raises, it is called again."""
        self._calls.append(call)

    def on_any_loss(self, call: Callable[[], object]) -> None:
        """Have this called also after the loss of a partition."""
        self.on_loss(call)
        if self._partition_loss is not None:
            self._partition_loss.on_loss(call)

    def step(self) -> None:
        """Look, and call what is to be done after a loss. Call it once after the layout was found to be current."""
        with translated():
            version, found = self._redis.mget(self._keys.layout_version, self._keys.data_id)
        if version is None:
            self._layout.renew()
        elif text(version) != str(VERSION):
            raise OtherLayout(refusal(self._keys.prefix, text(version)))
        if found is None:
            with translated():
                self._redis.set(self._keys.data_id, secrets.token_hex(8), nx=True)
                found = self._redis.get(self._keys.data_id)
        now = text(found or b"")
        if self._known not in (None, now):
            self._layout.require()  # another process may have recorded another number of partitions since
            log.error("Redis has lost all keys", then="records are made again from the bucket")
            for call in self._calls:
                call()
        self._known = now
        if self._partition_loss is not None:
            self._partition_loss.step()


class Refill:
    """Whether records are being made again in a Redis that was empty. Raises ``StoreUnavailable``.

    It begins when the layout version is recorded. It ends when the bucket was compared completely and everything
    that was found then has left the inbox, so that it is in the ledger or has a record.
    """

    def __init__(
        self,
        client: Client,
        keys: Keys,
        clock: Callable[[], float] = time.time,
        inboxes: Sequence[tuple[Client, str]] | None = None,
    ) -> None:
        """``inboxes``: the streams in which events wait, if there are several."""
        self._redis: Any = client  # as above
        self._keys = keys
        self._clock = clock
        self._inboxes: Sequence[tuple[Any, str]] = inboxes or [(client, keys.inbox)]

    def since(self) -> float | None:
        """When it began, Unix seconds; ``None`` if records are complete, as far as is known."""
        with translated():
            pipe = self._redis.pipeline()
            pipe.hget(self._keys.refill, "since")
            pipe.exists(self._keys.layout_version)
            since, recorded = pipe.execute()
        if since is None:
            return None if recorded else self._clock()  # lost just now
        return float(since)

    def swept(self, since: float | None) -> None:
        """A comparison of the whole bucket has ended, before which ``since`` was the answer of ``since()``."""
        if since is None or self.since() != since:
            return  # what was compared before a loss says nothing
        with translated():
            last = [redis.xrevrange(inbox, count=1) for redis, inbox in self._inboxes]
            ends = b" ".join(entries[0][0] if entries else b"0-0" for entries in last)
            self._redis.hset(self._keys.refill, "swept", ends)

    def step(self) -> None:
        """End it if it is over."""
        with translated():
            since, swept = self._redis.hmget(self._keys.refill, "since", "swept")
            if since is None:
                return
            late = self._clock() - float(since) > LONGEST_S
            waiting = swept is None or any(
                redis.xrange(inbox, max=end, count=1)
                for (redis, inbox), end in zip(self._inboxes, swept.split(b" "), strict=False)
            )
            if late or not waiting:
                self._redis.delete(self._keys.refill)
                log.info("records are made again", then="the bucket was compared", late=late)
