"""Health is progress: each stage and process notes when it last did something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.supervision.liveness_files import LivenessFiles


class Health:
    """Beats, by name. Times are Unix seconds. Raises ``StoreUnavailable``."""

    def __init__(
        self, client: Client, keys: Keys, clock: Callable[[], float], files: LivenessFiles | None = None
    ) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = keys.heartbeats
        self._clock = clock
        self._files = files or LivenessFiles(None)

    def beat(self, name: str) -> None:
        """``name`` made progress just now: said to Redis, and in a file, whether or not Redis can be reached."""
        self._files.touch(name)
        with translated():
            self._redis.hset(self._key, name, self._clock())

    def clear(self) -> None:
        """Nobody has made progress: a stack is about to start."""
        with translated():
            self._redis.delete(self._key)

    def beats(self) -> Mapping[str, float]:
        """When each name last made progress."""
        with translated():
            return {text(name): float(at) for name, at in self._redis.hgetall(self._key).items()}
