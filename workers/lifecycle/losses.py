"""What a loss of all keys of Redis has cost: what cannot be made again from the bucket and the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
import structlog

from vectordb.decoders import from_json
from workers.redis import scripts
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.settings.webhook_kinds import DEFAULT_RECEIVER

log = structlog.get_logger()

KEPT_S = 7 * 86_400


class Lost(msgspec.Struct, frozen=True):
    """The last loss. ``at``: when it was noticed, Unix seconds. Numbers are those of a few seconds before.

    ``records`` are made again, and ``unfinished`` objects are found again. The others are lost: create the API keys
    again, submit the batches and segmentation requests again. Segmentations that were done are not counted: they are
    requested again by their label maps (``workers.segmentation.stray_artifacts``). ``deliveries``: to webhooks,
    pending ones and dead letters; their images are delivered again when they are tagged. Batches have no number.
    ``acknowledged_at``: when somebody acknowledged it, so that checks warn no more.
    """

    at: float
    records: int = 0
    unfinished: int = 0
    api_keys: int = 0
    deliveries: int = 0
    segmentation_requests: int = 0
    acknowledged_at: float | None = None

    def __str__(self) -> str:
        lost = ["batches"]
        for count, name in (
            (self.api_keys, "API keys (create them again)"),
            (self.deliveries, "webhook deliveries"),
            (self.segmentation_requests, "segmentation requests"),
        ):
            if count:
                lost.append(f"{count:,} {name}")
        return f"Redis has lost all keys: {self.records:,} records are made again; lost are {', '.join(lost)}"


class Losses:
    """Counts now and then, and reports after a loss. Raises ``StoreUnavailable``."""

    def __init__(
        self,
        client: Client,
        keys: Keys,
        clock: Callable[[], float],
        of_partitions: Callable[[], Mapping[str, int]] | None = None,
    ) -> None:
        """``of_partitions``: the counts of ``Records.counts``, if there are several partitions."""
        self._of_partitions = of_partitions
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._clock = clock
        self._replace = self._redis.register_script(scripts.source("replace"))
        self._counts: tuple[bytes, list[int]] | None = None

    def note(self) -> None:
        """Count what is there."""
        keys = self._keys
        with translated():
            pipe = self._redis.pipeline()
            pipe.get(keys.data_id)
            pipe.zcard(keys.records)
            pipe.zcard(keys.ledger)
            pipe.xlen(keys.inbox)
            pipe.hlen(keys.api_keys)
            pipe.zcard(keys.segmentation_queue)
            pipe.hkeys(keys.receivers)
            data_id, records, ledger, inbox, api_keys, segments, receivers = pipe.execute()
            deliveries = self._deliveries({DEFAULT_RECEIVER, *map(text, receivers)})
        if self._of_partitions is not None:
            counts = dict(self._of_partitions())
            ledger, inbox, segments = (counts.pop(name) for name in ("in_flight", "inbox", "segments"))
            records = sum(counts.values())
        # otherwise a loss is about to be noticed
        if data_id is not None and (self._counts is None or self._counts[0] == data_id):
            self._counts = bytes(data_id), [records, ledger + inbox, api_keys, deliveries, segments]

    def _deliveries(self, receivers: Iterable[str]) -> int:
        pipe = self._redis.pipeline()
        for receiver in receivers:
            pipe.hlen(self._keys.notify("waiting", receiver))
            pipe.xlen(self._keys.notify("dead", receiver))
        return sum(pipe.execute())

    def report(self) -> None:
        """After a loss: log it and store it for ``read``."""
        with translated():
            data_id = self._redis.get(self._keys.data_id)
        known = self._counts is not None and self._counts[0] != data_id
        lost = Lost(self._clock(), *(self._counts[1] if self._counts is not None and known else ()))
        with translated():
            self._redis.set(self._keys.loss, msgspec.json.encode(lost), ex=KEPT_S)
        self._counts = None
        log.error("data lost", summary=str(lost))

    def acknowledge(self) -> Lost | None:
        """Have checks warn no more of the last loss, and return it; ``None`` if there was none."""
        while True:
            with translated():
                body = self._redis.get(self._keys.loss)
            lost = _decoded(body)
            if lost is None or lost.acknowledged_at is not None:
                return lost
            done = msgspec.structs.replace(lost, acknowledged_at=self._clock())
            with translated():
                if self._replace(keys=[self._keys.loss], args=[body, msgspec.json.encode(done)]):
                    return done

    def read(self) -> Lost | None:
        """The last loss, for a week; ``None`` if there was none."""
        with translated():
            body = self._redis.get(self._keys.loss)
        return _decoded(body)


def _decoded(body: bytes | None) -> Lost | None:
    try:
        return from_json(body, Lost) if body else None
    except (msgspec.DecodeError, UnicodeDecodeError):  # of another version of wildtag
        return None
