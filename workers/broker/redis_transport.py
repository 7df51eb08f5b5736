"""Redis for Kombu: channels that make a client once. Kombu makes one for every command, which takes as long as it."""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis
from kombu.transport import _transport_cache as classes  # type: ignore[attr-defined]  # it has no other name

PATH = "workers.broker.redis_transport:Transport"


class Channel(redis.Channel):
    """A channel that keeps its client. A client has no state but its pool, and may be used by several threads."""

    _kept: Any = None

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
