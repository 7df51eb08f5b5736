"""Heartbeats: each stage and process records when it last made progress, and what its host's clock says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from vectordb.decoders import from_msgpack
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys
from workers.redis.script_calls import Command
from workers.redis.stale_fields import StaleFields
from workers.supervision.liveness_files import LivenessFiles

NOTE_EVERY_S = 10.0  # between two notes of a process on itself
FRESH_S = 180.0  # without a note, after which a process counts as gone; idle workers are probed every minute
_TAKEN = "taken:"


class ProcessNote(msgspec.Struct, frozen=True, kw_only=True):
    """A process that sends heartbeats. ``name``: of these. ``at``: when it noted this (Unix seconds).

    ``offset``: seconds by which the clock of its host is ahead of that of Redis. ``release``: of wildtag; empty for
    one that does not say it.
    """

    name: str
    host: str
    offset: float
    at: float
    release: str = ""

    @property
    def clock(self) -> tuple[str, float]:
        """Where its clock is, and how many whole seconds that is ahead."""
        return f"{self.host} ({self.name})", round(self.offset)


class Health:
    """Heartbeats by name, in Unix seconds. Methods raise ``StoreUnavailable``."""

    def __init__(
        self, client: Client, keys: Keys, clock: Callable[[], float], files: LivenessFiles | None = None,
        process: str = "", host: str = "", release: str = "",
    ) -> None:  # fmt: skip
        """``process``: a unique name of the service that this process belongs to; without it none is noted."""
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = keys.heartbeats
        self._notes = keys.processes
        self._clock = clock
        self._files = files or LivenessFiles(None)
        self._process, self._host, self._release = process, host, release
        self._noted: dict[str, float] = {}
        self._stale = StaleFields(client, keys.processes, _written_at, FRESH_S)

    def beat(self, name: str) -> None:
        """Record progress of ``name`` in Redis and in its liveness file; the file also if Redis is unavailable."""
        self._files.touch(name)
        self._note(name)
        with translated():
            self._redis.hset(self._key, name, self._clock())

    def command(self, name: str, taken: float | None = None) -> Command:
        """The same, as a command to be sent with others; the liveness file is touched at once.

        ``taken``: when the message that was begun last was put on the queue ``name``, or before.
        """
        self._files.touch(name)
        self._note(name)
        also = () if taken is None else (f"{_TAKEN}{name}", taken)
        return ("HSET", self._key, name, self._clock(), *also)

    def now(self) -> float:
        """The time by the clock of the heartbeats, in Unix seconds."""
        return self._clock()

    def retire(self, *names: str) -> None:
        """Say that this process has stopped on purpose. Heartbeats that no other process sends are deleted."""
        with translated():
            if self._process:
                self._redis.hdel(self._notes, *(self._field(name) for name in names))
            left = {note.name for note in self.processes()}
            if ended := [name for name in names if name not in left]:
                self._redis.hdel(self._key, *ended)

    def processes(self) -> list[ProcessNote]:
        """The processes that send heartbeats and are not gone, by name and host."""
        with translated():
            packed = self._redis.hvals(self._notes)
        since = self._clock() - FRESH_S
        found = [note for note in map(_decoded, packed) if note is not None and note.at >= since]
        return sorted(found, key=lambda note: (note.name, note.host))

    def notes(self, name: str) -> Mapping[str, ProcessNote]:
        """The last note of each process of this name that has not retired, by its service, however old."""
        begin = raw(f"{name} ")
        with translated():
            packed = self._redis.hgetall(self._notes)
        notes = {field: _decoded(note) for field, note in packed.items() if field.startswith(begin)}
        return {text(field.removeprefix(begin)): note for field, note in notes.items() if note}

    def clear(self) -> None:
        """Delete all heartbeats, before a stack starts."""
        with translated():
            self._redis.delete(self._key, self._notes)

    def beats(self) -> Mapping[str, float]:
        """The time of the last progress of each name."""
        with translated():
            fields = self._redis.hgetall(self._key).items()
        return {name: float(at) for field, at in fields if not (name := text(field)).startswith(_TAKEN)}

    def taken(self, queue: str) -> float | None:
        """When the message was put on a queue that a worker of it has begun last; ``None`` if none has."""
        with translated():
            at = self._redis.hget(self._key, f"{_TAKEN}{queue}")
        return None if at is None else float(at)

    def ages(self) -> dict[str, float]:
        """Seconds since the last progress of each name. Clocks differ a little: none is below zero."""
        beats, now = self.beats(), self._clock()
        return {name: max(0.0, now - at) for name, at in beats.items()}

    def _field(self, name: str) -> bytes:
        return raw(f"{name} {self._process}")

    def _note(self, name: str) -> None:
        """Note this process and its clock, now and then."""
        now = time.monotonic()
        if not self._process or abs(now - self._noted.get(name, -NOTE_EVERY_S)) < NOTE_EVERY_S:
            return
        self._noted[name] = now
        at = self._clock()
        note = ProcessNote(name=name, host=self._host, offset=round(time.time() - at, 3), at=at,
                           release=self._release)  # fmt: skip
        with translated():
            pipe = self._redis.pipeline(transaction=True)
            pipe.hset(self._notes, self._field(name), msgspec.msgpack.encode(note))
            pipe.expire(self._notes, int(FRESH_S))
            pipe.execute()
        self._stale.remove(at)


def mixed_releases(notes: Iterable[ProcessNote]) -> str | None:
    """One line that names the releases that run beside each other; ``None`` if there is one at most."""
    found: dict[str, list[str]] = {}
    for note in notes:
        found.setdefault(note.release or "an older one", []).append(note.name)
    if len(found) < 2:
        return None
    said = "; ".join(f"{release} ({', '.join(sorted(set(names)))})" for release, names in sorted(found.items()))
    return f"{'two' if len(found) == 2 else len(found)} releases of wildtag are running: {said}"


def _decoded(packed: bytes) -> ProcessNote | None:
    """Decode a note; ``None`` if another version of wildtag wrote it."""
    try:
        return from_msgpack(packed, ProcessNote)
    except msgspec.DecodeError:
        return None


def _written_at(packed: bytes) -> float | None:
    note = _decoded(packed)
    return None if note is None else note.at
