"""How the models of all processes compute, in one Redis hash: for status, metrics and ``wildtag doctor``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import msgspec

from tasks.model_description import Description
from vectordb.decoders import from_msgpack
from workers.redis.connection import Client, raw, translated
from workers.redis.keys import Keys
from workers.redis.stale_fields import StaleFields

FRESH_S = 600.0  # without a report, after which a process counts as gone; idle workers are probed every minute


class ModelInUse(msgspec.Struct, frozen=True, kw_only=True):
    """A model in a process. For ``device`` to ``reason`` see ``Description``.

    ``queue``: the queue that the process consumes. ``model``: its role, such as ``image encoder``. ``at``: when it
    was last reported (Unix seconds).
    """

    queue: str
    model: str
    process: str
    device: str
    runtime: str
    dtype: str
    batch: int
    hardware: str = ""
    reason: str = ""
    at: float = 0.0

    def __str__(self) -> str:
        return str(
            Description(self.device, self.runtime, self.dtype, self.batch, hardware=self.hardware, reason=self.reason)
        )


class ModelBoard:
    """Writes the models of this process, and reads those of all processes. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, process: str, clock: Callable[[], float]) -> None:
        """``process``: a unique name per process, such as ``HOST-PID``."""
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = keys.models
        self._process = process
        self._clock = clock
        self._stale = StaleFields(client, keys.models, _written_at, FRESH_S)

    def write(self, queue: str, model: str, description: Description) -> None:
        """Add or renew a model of this process."""
        entry = ModelInUse(
            queue=queue, model=model, process=self._process, at=self._clock(), **asdict(description)
        )  # fmt: skip
        with translated():
            pipe = self._redis.pipeline(transaction=True)
            pipe.hset(self._key, raw(f"{self._process} {queue} {model}"), msgspec.msgpack.encode(entry))
            pipe.expire(self._key, int(FRESH_S))
            pipe.execute()
        self._stale.remove(entry.at)

    def read(self) -> list[ModelInUse]:
        """The models of all processes that are not gone, by queue."""
        since = self._clock() - FRESH_S
        with translated():
            packed = self._redis.hvals(self._key)
        found = [one for one in map(_decoded, packed) if one is not None and one.at >= since]
        return sorted(found, key=lambda one: (one.queue, one.model, one.process))

    def clear(self) -> None:
        """Delete all, before a stack starts."""
        with translated():
            self._redis.delete(self._key)


def _decoded(packed: bytes) -> ModelInUse | None:
    """Decode an entry; ``None`` if another version of wildtag wrote it."""
    try:
        return from_msgpack(packed, ModelInUse)
    except msgspec.DecodeError:
        return None


def _written_at(packed: bytes) -> float | None:
    note = _decoded(packed)
    return None if note is None else note.at
