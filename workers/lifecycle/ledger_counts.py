"""What the ledger has counted since Redis was empty, and what is in it now. Written by the ledger's scripts only.

A count is written in the same script as what it counts, so it counts neither what was refused nor a repeated message.
Each partition has its own counts, which are added here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from workers.redis import scripts
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.redis.partitions import Partitions
from workers.redis.scatter import Scatter
from workers.settings.settings import SEGMENTATION, STAGES

PUT_OFF = "waiting"
LEDGER_QUEUES = (*STAGES, SEGMENTATION, PUT_OFF)
"""The queues in which an object of the ledger can be. The last one is that of objects that were put off."""


class Distribution(msgspec.Struct):
    """How seconds are distributed. ``buckets``: upper bound → number, not cumulative. ``total``: their sum."""

    buckets: dict[float, int] = {}
    total: float = 0.0


class LedgerCounts(msgspec.Struct):
    """Numbers of objects. ``finished``: by state and reason, see ``workers.lifecycle.reasons``.

    ``withdrawn``: by reason. The others are by stage, of which ``waiting`` is one. ``duration``: from acceptance to
    the record.
    """

    accepted: int = 0
    finished: dict[tuple[str, str], int] = {}
    withdrawn: dict[str, int] = {}
    attempts: dict[str, int] = {}
    retries: dict[str, int] = {}
    postponed: dict[str, int] = {}
    duration: Distribution = msgspec.field(default_factory=Distribution)
    stages: dict[str, Distribution] = {}


class QueueState(msgspec.Struct, frozen=True):
    """``objects``: that wait for a stage or are in it. ``since``: when the oldest came, Unix seconds."""

    objects: int
    since: float | None


class LedgerState(msgspec.Struct, frozen=True):
    """``objects``: without a record. ``since``: when the oldest was accepted, Unix seconds. ``queues``: by name."""

    objects: int
    since: float | None
    queues: Mapping[str, QueueState]


class LedgerReader:
    """Reads both. Raises ``StoreUnavailable``. Takes two commands a partition, whatever the number of objects."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._state = self._redis.register_script(scripts.source("ledger_state"))

    def counts(self) -> LedgerCounts:
        """What was counted."""
        return counts_of(self.fields())

    def fields(self) -> Mapping[str, int]:
        """The same as it is stored."""
        with translated():
            stored = self._redis.hgetall(self._keys.ledger_counts)
        return {text(name): int(count) for name, count in stored.items()}

    def state(self) -> LedgerState:
        """What is in the ledger now."""
        k = self._keys
        with translated():
            objects, since, *queues = self._state(
                keys=[k.ledger_accepted, k.ledger], args=[k.ledger_queue(""), k.entry(""), *LEDGER_QUEUES]
            )
        return LedgerState(int(objects), _time(since), {
            name: QueueState(int(number), _time(at)) for name, (number, at) in zip(LEDGER_QUEUES, queues, strict=True)
        })  # fmt: skip


class PartitionedLedgerReader(LedgerReader):
    """The same of all partitions. Raises if one is away: a smaller sum would look like counts that were lost."""

    def __init__(self, partitions: Partitions, clients: Sequence[Client]) -> None:
        self._parts = Scatter(partitions, list(map(LedgerReader, clients, partitions.all)))

    def fields(self) -> Mapping[str, int]:
        """See ``LedgerReader``."""
        total: Counter[str] = Counter()
        for fields in self._parts.each(lambda part: part.fields()):
            total.update(fields)
        return total

    def state(self) -> LedgerState:
        """See ``LedgerReader``."""
        parts = self._parts.each(lambda part: part.state())
        return LedgerState(
            sum(one.objects for one in parts), _oldest(one.since for one in parts),
            {
                name: QueueState(
                    sum(one.queues[name].objects for one in parts), _oldest(one.queues[name].since for one in parts)
                )
                for name in LEDGER_QUEUES
            },
        )  # fmt: skip


def counts_of(fields: Mapping[str, int]) -> LedgerCounts:
    """The counts in fields of the hash. Fields of other versions of wildtag are ignored."""
    found = LedgerCounts()
    by_stage = {"attempts": found.attempts, "retries": found.retries, "postponed": found.postponed}
    for name, number in fields.items():
        what, _, rest = name.partition(":")
        label, _, last = rest.partition(":")
        if name == "accepted":
            found.accepted = number
        elif what == "finished":
            found.finished[label, last] = number
        elif what == "withdrawn":
            found.withdrawn[rest] = number
        elif what in by_stage:
            by_stage[what][rest] = number
        elif what == "object":
            _add(found.duration, rest, number)
        elif what == "stage":
            _add(found.stages.setdefault(label, Distribution()), last, number)
    return found


def _add(to: Distribution, bound: str, number: int) -> None:
    if bound == "ms":
        to.total = number / 1000
    else:
        to.buckets[float(bound)] = number


def _time(at: bytes) -> float | None:
    return float(at) if at else None


def _oldest(times: Iterable[float | None]) -> float | None:
    return min((at for at in times if at is not None), default=None)
