"""Redis for Kombu: one client for all commands of a channel.

Kombu makes a client for every command. Each copies a table of more than a hundred entries, which takes longer than
the command: a fifth of the CPU of a worker's process that receives messages.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis


class Channel(redis.Channel):
    """A channel that makes a client for each pool of connections. A client may be used by several threads."""

    _kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 -- Kombu's
        """See Kombu. The pool changes after a fork and after a connection was lost."""
        if asynchronous:  # holds a connection of its own
            return super()._create_client(asynchronous=True)
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = super()._create_client()
        return self._kept


class Transport(redis.Transport):
    """Kombu's, with the ``Channel`` of this module."""

    Channel = Channel
