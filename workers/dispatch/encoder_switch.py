"""Puts an encoder that has prepared everything into use, in one step, and removes what is not needed any more."""

from __future__ import annotations

from typing import Any

import msgspec

from vectordb.decoders import from_json
from vectordb.errors import Permanent, Transient
from workers.lifecycle.record import STATES
from workers.lifecycle.record_reader import Records
from workers.redis import scripts
from workers.redis.connection import Client, text, translated
from workers.redis.encoders import ChosenEncoder
from workers.redis.keys import Keys
from workers.redis.layout import escaped

RECORD_S = 1e-5  # of the script for one record: measured, see ops/decisions/0056
LONGEST_S = 15.0  # of the script: after 30 s the supervisor takes Redis for hung, and ends it


class NotQuiet(Transient):
    """Something has happened since the records were compared, or is in progress: compare again."""


class EncoderSwitch:
    """Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, records: Records) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._records = records
        self._script = client.register_script(scripts.source("switch_encoder"))

    def blocked_s(self) -> float:
        """How long Redis will answer nothing at the switch, about. Raises ``Permanent`` if that is too long."""
        counts = self._records.counts()
        seconds = sum(counts[state] for state in STATES) * RECORD_S
        if seconds > LONGEST_S:
            raise Permanent(
                f"Redis would answer nothing for about {seconds:.0f} s at the switch, and more than {LONGEST_S:.0f} s"
                " are refused: set WILDTAG_ENCODER, start again, and run `wildtag retag --all` instead"
            )
        return seconds

    def state(self) -> tuple[str, str]:
        """What must be the same when ``switch`` is called as before the records were compared."""
        with translated():
            return self._records.feed_end(), text(self._redis.get(self._keys.statements_revision) or b"")

    def switch(
        self, change: ChosenEncoder, replaced: tuple[str, ...], state: tuple[str, str], now: float,
        feed_rate: float = 0.0,
    ) -> int:  # fmt: skip
        """Switch. Returns the number of records that were replaced. Raises ``NotQuiet``; then nothing has changed.

        ``replaced``: all encoders before. ``now``: Unix seconds. ``feed_rate``: so many of the replaced records are
        added to the feed each second afterwards (see ``workers.dispatch.feed_replay``); none if it is 0.
        """
        k, next_ = self._keys, Keys(self._keys.next)
        chosen = msgspec.structs.replace(change, since=now, replaced=replaced)
        keys = [k.ledger, k.objects, k.tags, k.statements_revision, k.encoder, k.encoder_change, k.drain, k.follows,
                k.images_position, k.images_standing, k.images_verify, k.feed, k.feed_replay, k.searches,
                next_.ledger, next_.tags]  # fmt: skip
        with translated():
            before, noted = self._redis.get(k.encoder) or b"", self._redis.get(k.encoder_change) or b""
            if not noted or from_json(noted, ChosenEncoder) != change:
                noted = msgspec.json.encode(change)  # as it was; another release may have written it otherwise
            replay = (change.space, repr(now), f"{feed_rate:g}" if feed_rate else "")
            args = [k.prefix, k.next, msgspec.json.encode(chosen), *state, noted, before, *replay]
            answer, moved = self._script(keys=keys, args=args)
            if text(answer) != "switched" and self._redis.get(k.encoder) == args[2]:
                return self._records.counts()["done"]  # the answer was lost, and the call was repeated
        if text(answer) != "switched":
            raise NotQuiet(f"the encoder was not switched: {text(answer)}")
        return int(moved)

    def clear(self) -> int:
        """Remove all that was prepared under ``P next:``. Returns the number of keys."""
        with translated():
            if self._redis.exists(self._keys.encoder_change):
                raise Permanent("an encoder prepares: abort that first")
            count: int = self._redis.unlink(self._keys.encoder_feeder)
            for page in _pages(self._redis, self._keys.next):
                count += self._redis.unlink(*page)
            return count


def _pages(client: Any, begin: str) -> list[list[bytes]]:
    found = list(client.scan_iter(match=f"{escaped(begin)}*", count=1000))
    return [found[start : start + 1000] for start in range(0, len(found), 1000)]
