"""Which encoder is in use, and which one prepares to replace it.

The one in use is that of the settings until a switch has named another one in ``P encoder``. It is read when a
process starts, and looked at again by each that computes or searches.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from vectordb.decoders import from_json
from vectordb.errors import Permanent
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.redis.layout import VERSION, OtherLayout, refusal


class EncoderChanged(Permanent):
    """Another encoder is in use now; what was loaded for the one before is of no use."""


class ChosenEncoder(msgspec.Struct, frozen=True):
    """An encoder, as the settings name it, and its vector space. ``since``: Unix seconds.

    ``before``: the space before it. ``replaced``: all encoders before it, as the settings name them.
    """

    encoder: str
    runtime: str
    space: str
    before: str
    since: float
    replaced: tuple[str, ...] = ()


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

    def begin(self, encoder: str, runtime: str, space: str, before: str) -> ChosenEncoder:
        """Note that an encoder prepares. Raises ``Permanent`` if another one does."""
        begun = ChosenEncoder(encoder, runtime, space, before, self._clock())
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
