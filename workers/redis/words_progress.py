"""How far the words of the captions are encoded ahead, for ``wildtag status``."""

from __future__ import annotations

from typing import Any

import msgspec

from vectordb.decoders import from_msgpack
from workers.redis.connection import Client, translated
from workers.redis.keys import Keys


class WordsProgress(msgspec.Struct, frozen=True):
    """``captions``: so many of the version were read since the worker was started. ``words``: theirs that are known.

    ``fault``: why no more are encoded.
    """

    captions_version: str
    captions: int
    words: int
    finished: bool
    fault: str = ""

    def __str__(self) -> str:
        if self.fault:
            return f"stopped: {self.fault}"
        if self.finished:
            return f"all words of {self.captions_version} are encoded"
        return (
            f"{self.words:,} words are encoded, those of the first {self.captions:,} captions of"
            f" {self.captions_version}; goes on while no image is in progress"
        )


class WordsProgressBoard:
    """Stores the last report. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = keys.words_ahead

    def write(self, progress: WordsProgress) -> None:
        """Replace the last report."""
        with translated():
            self._redis.set(self._key, msgspec.msgpack.encode(progress))

    def read(self) -> WordsProgress | None:
        """The last report, if there is one that can be read."""
        with translated():
            packed = self._redis.get(self._key)
        try:
            return None if packed is None else from_msgpack(packed, WordsProgress)
        except msgspec.DecodeError:  # of another version of wildtag
            return None
