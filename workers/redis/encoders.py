"""Which encoder is in use, and which one prepares to replace it.

The one in use is that of the settings until a switch has named another one in ``P encoder``. It is read when a
process starts, and looked at again by each that computes or searches.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from vectordb.decoders import from_json
from vectordb.errors import Permanent
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.redis.layout import VERSION, OtherLayout, refusal
from workers.settings.encoder_in_use import NEXT

NOTE_S = 60  # lifetime of what the feeder says of itself


class EncoderChanged(Permanent):
    """Another encoder is in use now; what was loaded for the one before is of no use."""


class ChosenEncoder(msgspec.Struct, frozen=True):
    """An encoder, as the settings name it, and its vector space. ``since``: Unix seconds.

    ``before``: the space before it. ``replaced``: all encoders before it, as the settings name them.
    ``had_captions``: whether its space had captions before it prepared. ``rate``: images a second at most, for a
    feeder that somebody else starts.
    """

    encoder: str
    runtime: str
    space: str
    before: str
    since: float
    replaced: tuple[str, ...] = ()
    had_captions: bool = False
    rate: float | None = None


class FeederNote(msgspec.Struct, frozen=True):
    """What the feeder of an encoder that prepares does: ``done`` of ``total`` captions or images.

    ``rate``: images prepared each second, lately. ``at``: Unix seconds. ``fault``: what it waits for, if anything.
    """

    doing: str
    done: int
    total: int
    at: float
    rate: float | None = None
    fault: str = ""

    @property
    def left_s(self) -> float | None:
        """Seconds that are left at this rate; ``None`` if that is not known."""
        return max(0, self.total - self.done) / self.rate if self.rate else None


class Encoders:
    """The encoders of a Redis. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        """``clock``: Unix seconds."""
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._clock = clock

    def in_use(self) -> ChosenEncoder | None:
        """The one that a switch has put into use; ``None`` if that of the settings is."""
        return self._read(self._keys.encoder)

    def change(self) -> ChosenEncoder | None:
        """The one that prepares to replace it, if any."""
        return self._read(self._keys.encoder_change)

    def begin(
        self, encoder: str, runtime: str, space: str, before: str, *,
        had_captions: bool = False, rate: float | None = None,
    ) -> ChosenEncoder:  # fmt: skip
        """Note that an encoder prepares. Raises ``Permanent`` if another one does."""
        begun = ChosenEncoder(encoder, runtime, space, before, self._clock(), had_captions=had_captions, rate=rate)
        with translated():
            self._redis.set(self._keys.encoder_change, msgspec.json.encode(begun), nx=True)
        known = self.change()
        if known is None or (known.encoder, known.space, known.before) != (encoder, space, before):
            name = "no encoder" if known is None else known.encoder
            raise Permanent(f"{name} is being prepared already: `wildtag encoder switch`, or abort it first")
        return known

    def forget(self) -> None:
        """Note that none prepares any more."""
        with translated():
            self._redis.delete(self._keys.encoder_change)

    def pace(self, change: ChosenEncoder, rate: float | None) -> None:
        """Note how many images a second at most a feeder that somebody else starts submits."""
        if rate != change.rate:
            with translated():
                other = msgspec.json.encode(msgspec.structs.replace(change, rate=rate))
                self._redis.set(self._keys.encoder_change, other, xx=True)

    def note_feeder(self, note: FeederNote) -> None:
        """Say what the feeder does."""
        with translated():
            self._redis.set(self._keys.encoder_feeder, msgspec.json.encode(note), ex=NOTE_S)

    def feeder(self) -> FeederNote | None:
        """What a feeder has said within the last minute."""
        with translated():
            found = self._redis.get(self._keys.encoder_feeder)
        return None if found is None else from_json(found, FeederNote)

    def require_preparing(self, space: str) -> None:
        """Return if these are the keys of an encoder that prepares, and it is still that of this space.

        Raises ``EncoderChanged``.
        """
        change = Encoders(self._redis, main_keys(self._keys)).change()
        if change is None or change.space != space:
            raise EncoderChanged(
                "the encoder is not being prepared any more: it was put into use, or `wildtag encoder abort` was run"
            )

    def look(self) -> str:
        """The space in use, empty if it is that of the settings. Raises ``OtherLayout`` if the layout has changed.

        One round trip.
        """
        with translated():
            version, found = self._redis.mget(self._keys.layout_version, self._keys.encoder)
        if version is not None and text(version) != str(VERSION):
            raise OtherLayout(refusal(self._keys.prefix, text(version)))
        return "" if found is None else from_json(found, ChosenEncoder).space

    def _read(self, key: str) -> ChosenEncoder | None:
        with translated():
            found = self._redis.get(key)
        return None if found is None else from_json(found, ChosenEncoder)


def main_keys(keys: Keys) -> Keys:
    """The keys of the encoder in use; ``keys``: its own, or those of one that prepares."""
    return replace(keys, prefix=keys.prefix.removesuffix(NEXT))
