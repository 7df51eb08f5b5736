"""Redis for Kombu: channels that make a client once, and that ask Redis for the time.

Kombu makes a client for every command, which takes as long as the command. It compares the times at which workers of
several hosts took their messages with the clock of each of these hosts.
"""

from __future__ import annotations

import time
from functools import cached_property
from queue import Empty
from typing import Any

import structlog
from kombu.transport import TRANSPORT_ALIASES, redis, virtual
from kombu.transport import _transport_cache as classes  # type: ignore[attr-defined]  # it has no other name
from redis.exceptions import ResponseError

from workers.redis.connection import said, translated
from workers.redis.redis_clock import OFF_FROM_S, RedisClock, seconds
from workers.settings.dependencies import BROKER

PATH = "workers.broker.redis_transport:Transport"


log = structlog.get_logger()

REFUSED_S = 1.0  # between two attempts while Redis refuses commands, because it is full or has no replica
COMPLAIN_S = 60.0
_complained = -COMPLAIN_S


def complain(exc: Exception) -> None:
    """Log once a minute that Redis refuses commands."""
    global _complained  # noqa: PLW0603 -- for all channels of the process
    if time.monotonic() - _complained >= COMPLAIN_S:
        _complained = time.monotonic()
        log.warning("the broker refuses commands", reason=said(exc))


class QoS(redis.QoS):
    """The messages that are not acknowledged yet, with the time of Redis at which each was taken."""

    _remove_from_indices: Any  # Kombu's types lack it

    @cached_property
    def _now(self) -> RedisClock:
        channel: Any = self.channel  # Kombu's types lack what it has

        def read() -> float:
            with translated(BROKER), channel.conn_or_acquire() as client:
                return seconds(client)

        return RedisClock(read, beside=False)

    def append(self, message: Any, delivery_tag: str) -> None:
        """See Kombu. A message that Redis cannot note is processed all the same: the ledger knows its objects."""
        try:
            super().append(message, delivery_tag)
        except ResponseError as exc:
            complain(exc)
            virtual.QoS.append(self, message, delivery_tag)
            return
        if abs(self._now.offset()) > OFF_FROM_S:  # the time of this host was noted
            with self.pipe_or_acquire() as pipe:
                pipe.zadd(self.unacked_index_key, {delivery_tag: self._now()}, xx=True).execute()

    def ack(self, delivery_tag: str) -> None:
        """See Kombu. What a full Redis refuses is done later: by default the worker would end."""
        try:
            super().ack(delivery_tag)
        except ResponseError as exc:
            complain(exc)
            self._refused.append(delivery_tag)
            virtual.QoS.ack(self, delivery_tag)

    def restore_visible(self, *args: Any, **options: Any) -> None:
        """See Kombu, which calls it every ten seconds."""
        try:
            while self._refused:
                self._remove_from_indices(self._refused[-1]).execute()
                self._refused.pop()
            super().restore_visible(*args, **options)
        except ResponseError as exc:
            complain(exc)

    @cached_property
    def _refused(self) -> list[str]:
        """The delivery tags of messages whose acknowledgement Redis has refused."""
        return []

    @property
    def visibility_timeout(self) -> float:  # type: ignore[override]  # Kombu subtracts it from a time
        """Seconds before the time of this host, after which a message that is not acknowledged counts as lost."""
        channel: Any = self.channel  # as above
        return float(channel.visibility_timeout) + self._now.offset()


class Channel(redis.Channel):
    """A channel that keeps its client. A client has no state but its pool, and may be used by several threads."""

    QoS = QoS
    _kept: Any = None

    def _brpop_read(self, **options: Any) -> Any:
        """See Kombu. A Redis that refuses commands is asked again in a second, and the worker goes on."""
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # Kombu's types lack it
        except ResponseError as exc:
            complain(exc)
            time.sleep(REFUSED_S)
            raise Empty from None

    def _create_client(self, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 -- Kombu's
        if asynchronous:  # these hold a connection each
            return super()._create_client(asynchronous=True)  # type: ignore[misc]  # Kombu's types lack it
        if self._kept is None or self._kept.connection_pool is not self.pool:  # which is new after a disconnection
            self._kept = super()._create_client()  # type: ignore[misc]  # as above
        return self._kept


class Transport(redis.Transport):
    """Kombu's, with the ``Channel`` of this module."""

    Channel = Channel


def register() -> None:
    """Use it for the URLs of Redis in this process."""
    for name in ("redis", "rediss"):
        TRANSPORT_ALIASES[name] = PATH
        classes.pop(name, None)  # Kombu keeps the class of a connection that was made before
