"""Heartbeats: each stage and process records when it last made progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.redis.script_calls import Command
from workers.supervision.liveness_files import LivenessFiles


class Health:
    """Heartbeats by name, in Unix seconds. Methods raise ``StoreUnavailable``."""

    def __init__(
        self, client: Client, keys: Keys, clock: Callable[[], float], files: LivenessFiles | None = None
    ) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = keys.heartbeats
        self._clock = clock
        self._files = files or LivenessFiles(None)

    def beat(self, name: str) -> None:
        """Record progress of ``name`` in Redis and in its liveness file; the file also if Redis is unavailable."""
        command = self.command(name)
        with translated():
            self._redis.execute_command(*command)

    def command(self, name: str) -> Command:
        """The same, as a command to be sent with others; the liveness file is touched at once."""
        self._files.touch(name)
        return ("HSET", self._key, name, self._clock())

    def clear(self) -> None:
        """Delete all heartbeats, before a stack starts."""
        with translated():
            self._redis.delete(self._key)

    def beats(self) -> Mapping[str, float]:
        """The time of the last progress of each name."""
        with translated():
            return {text(name): float(at) for name, at in self._redis.hgetall(self._key).items()}
