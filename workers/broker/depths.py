"""How many messages are on the queues, for ``wildtag status`` and the metrics."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class QueueDepth(msgspec.Struct, frozen=True):
    """``ready``: messages that no worker has received. ``consumers``: workers on the queue; only RabbitMQ knows."""

    ready: int
    consumers: int | None


class Depths(msgspec.Struct, frozen=True):
    """``queues``: by name. ``unacknowledged``: messages that workers hold, of all queues; only Redis knows."""

    queues: Mapping[str, QueueDepth]
    unacknowledged: int | None
