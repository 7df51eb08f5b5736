"""The state of a stack as it is read: everything that ``wildtag status`` shows, prints as JSON and checks."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from vectordb.errors import Transient, WildtagError
from workers.broker.depths import Depths
from workers.dispatch.removals import Hold
from workers.events.sources import Condition
from workers.images.coverage import Coverage
from workers.images.findings import Standing
from workers.lifecycle.ledger_counts import LedgerState
from workers.lifecycle.losses import Lost
from workers.lifecycle.recent_results import FAILED, Failures, Latency, Rate, RecentResults
from workers.lifecycle.record_reader import Pending
from workers.lifecycle.times import public, rfc3339, rfc3339_or_none
from workers.notifying.receivers import Standing as Receiver
from workers.outages.board import Outage
from workers.redis.heartbeats import ProcessNote
from workers.redis.models_in_use import ModelInUse
from workers.redis.partition_faults import partition_of
from workers.redis.persistence import risks
from workers.redis.servers import RedisServer, RedisServers, require_writes
from workers.redis.words_progress import WordsProgress, WordsProgressBoard
from workers.settings.dependencies import BROKER, REDIS
from workers.settings.settings import STAGES

if TYPE_CHECKING:
    from workers.wiring.wiring import Wiring

PENDING = 10  # objects in progress that are named
RATE_S = 60.0  # over which the rate is taken if no interval is given
SHORTEST_S = 10.0  # … and at least, since results come in batches


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A queue and its workers.

    ``messages``: that no worker has received; ``None`` if the broker does not answer. ``consumers``: only RabbitMQ
    knows. ``objects``: of the ledger, that wait for the stage or are in it; the oldest since ``oldest_s``.
    ``progress_s``: since its last progress; ``None`` if there was none. ``processes``: workers that send heartbeats.
    """

    name: str
    messages: int | None
    consumers: int | None
    objects: int
    oldest_s: float | None
    progress_s: float | None
    processes: int
    devices: tuple[str, ...] = ()


class Disk(msgspec.Struct, frozen=True):
    """A file system on this machine, by what is there."""

    folder: str
    path: str
    free: int
    size: int


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """What is known at a time. Without Redis, or one of its partitions, that is only which services are away."""

    at: float
    home: str
    outages: list[Outage]
    disks: list[Disk] = []
    counts: dict[str, int] = {}
    stages: list[Stage] = []
    depths: Depths | None = None
    ages: dict[str, float] = {}
    common: list[tuple[str, int]] = []
    rate: Rate = Rate(0, 0.0)
    latency: Latency | None = None
    failures: Failures = Failures(0.0, 0, {})
    totals: dict[str, int] = {}
    processes: list[ProcessNote] = []
    models: list[ModelInUse] = []
    words: WordsProgress | None = None
    sources: Mapping[str, Condition] = {}
    held: list[Hold] = []
    damaged: list[str] = []
    image_index: Standing | None = None
    coverage: Coverage | None = None
    receivers: list[Receiver] = []
    lost: Lost | None = None
    refilling: float | None = None
    draining: float | None = None
    encoder_change: dict[str, Any] | None = None
    captions_version: str | None = None
    skipped_captions: int = 0
    memory: list[RedisServer] = []
    risks: list[str] = []
    pending: list[Pending] = []
    inbox: str = ""
    inbox_oldest_s: float | None = None

    @property
    def away(self) -> bool:
        """Whether Redis, or one of its partitions, is away, so that nothing else is known."""
        return any(one.name == REDIS or partition_of(one.name) is not None for one in self.outages)

    @property
    def oldest_s(self) -> float | None:
        """How long the object has been in its stage that has been there longest."""
        return max((one.oldest_s for one in self.stages if one.oldest_s is not None), default=None)

    def row(self) -> dict[str, Any]:
        """For JSON."""
        if self.away:
            return {"at": rfc3339(self.at), "outages": public(self.outages)}
        return {
            "at": rfc3339(self.at), "counts": self.counts, "queues": self.depths, "stages": self.stages,
            "rate": {"objects": self.rate.objects, "seconds": self.rate.seconds,
                     "per_second": round(self.rate.per_second, 3)},
            "latency": self.latency, "failures": self.failures, "failures_total": self.totals,
            "seconds_since_progress": self.ages, "tags": dict(self.common), "outages": public(self.outages),
            "processes": public(self.processes), "models": public(self.models), "words_ahead": self.words,
            "sources": public(self.sources), "held_removals": public(self.held), "damaged_records": self.damaged,
            "image_index": public(self.image_index),
            "coverage": None if self.coverage is None else self.coverage.row(),
            "webhooks": public(self.receivers), "data_loss": public(self.lost),
            "refilling_since": rfc3339_or_none(self.refilling), "captions_version": self.captions_version,
            "skipped_captions": self.skipped_captions,
            "draining_since": rfc3339_or_none(self.draining), "encoder_change": self.encoder_change,
            "redis": [{"used": one.used, "limit": one.limit, "evicted": one.evicted} for one in self.memory],
            "redis_risks": self.risks, "disks": self.disks, "home": self.home, "inbox": self.inbox,
            "inbox_oldest_s": self.inbox_oldest_s,
        }  # fmt: skip


class OverviewReader:
    """Reads overviews of one stack. Never raises ``Transient``: what is away is part of what was read."""

    def __init__(self, wiring: Wiring, fault: Transient | None = None) -> None:
        """``fault``: why Redis is away, if that was just found."""
        s = wiring.settings
        self._wiring = wiring
        self._fault = fault
        self._recent = RecentResults(wiring.redis, wiring.keys, s.feed_length)

    def read(self, interval_s: float | None = None, *, whole: bool = True) -> Overview:
        """``interval_s``: over which the rate is taken. ``whole``: also what only people want to know."""
        wiring, s = self._wiring, self._wiring.settings
        depths, outages = self._standing()
        known = Overview(
            at=wiring.clock(),
            home=str(s.home),
            outages=outages,
            disks=disks({"home": s.home, "temporary": _temporary()}),
        )
        if known.away:
            return msgspec.structs.replace(
                known, outages=[msgspec.structs.replace(one, since=None) for one in outages]
            )  # not known: this command has just started
        try:
            return self._read(known, depths, interval_s, whole=whole)
        except Transient as exc:
            name = getattr(exc, "service", REDIS)
            return msgspec.structs.replace(
                known, outages=[Outage(name=name or REDIS, reason=reason_of(exc), since=None)]
            )

    def _standing(self) -> tuple[Depths | None, list[Outage]]:
        """What is on the queues, and the current outages."""
        if self._fault is not None:  # asking once more would take as long again
            fault, self._fault = self._fault, None
            return None, [Outage(name=REDIS, reason=reason_of(fault), since=None)]
        standing = self._wiring.outages.active()
        if any(one.name == REDIS for one in standing):
            return None, standing  # which often is the broker, and would not answer
        try:  # nothing can note an outage in a Redis that only answers reads
            require_writes(self._wiring.redis, self._wiring.keys)
        except Transient as exc:
            return None, [*standing, Outage(name=REDIS, reason=str(exc), since=None)]
        try:
            return self._wiring.publisher.depths(), standing
        except Transient as exc:
            if all(one.name != BROKER for one in standing):
                standing.append(Outage(name=BROKER, reason=str(exc), since=None))
            return None, standing

    def _read(self, known: Overview, depths: Depths | None, interval_s: float | None, *, whole: bool) -> Overview:
        from workers.wiring.encoder_change import progress_of  # noqa: PLC0415 -- keeps the command line quick
        from workers.wiring.operations import losses  # noqa: PLC0415 -- as above

        wiring, s = self._wiring, self._wiring.settings
        counts, draining = wiring.records.counts(), wiring.drain.read()
        servers = [wiring.redis, *wiring.partition_clients]
        self._recent.update(known.at)
        processes, models = wiring.health.processes(), wiring.models_in_use.read()
        ages = {name: round(age, 1) for name, age in sorted(wiring.health.ages().items())}
        found = msgspec.structs.replace(
            known, counts=counts, depths=depths, ages=ages, processes=processes, models=models,
            stages=stages_of(known.at, depths, wiring.ledger_reader.state(), ages, processes, models),
            rate=self._recent.rate(RATE_S if interval_s is None else max(interval_s, SHORTEST_S)),
            latency=self._recent.latency(), failures=self._recent.failures(),
            totals=totals_of(wiring.ledger_reader.counts().finished),
            sources=wiring.sources.conditions(), held=wiring.holds.active(), damaged=wiring.records.damaged.list(),
            receivers=wiring.receivers.standing(), lost=losses(wiring).read(), refilling=wiring.refill.since(),
            memory=RedisServers(servers, wiring.keys).read(), risks=risks(servers), inbox=str(s.inbox_folder),
            draining=None if draining is None else draining.since, encoder_change=progress_of(wiring),
            skipped_captions=len(wiring.skipped_captions.all()),
            inbox_oldest_s=_age(known.at, wiring.inbox_readers[0].read().since),
        )  # fmt: skip
        return self._whole(found) if whole else found

    def _whole(self, found: Overview) -> Overview:
        from workers.wiring.operations import coverage, images_standing  # noqa: PLC0415 -- as above

        wiring = self._wiring
        return msgspec.structs.replace(
            found, common=list(wiring.records.tag_index.common(10)), coverage=coverage(wiring).read(),
            image_index=images_standing(wiring).read(), captions_version=self._captions(found),
            words=WordsProgressBoard(wiring.redis, wiring.keys).read(), pending=wiring.records.pending(PENDING),
        )  # fmt: skip

    def _captions(self, found: Overview) -> str | None:
        """The captions in use, if that can be known here and now."""
        if any(one.name == "captions" for one in found.outages):
            return None  # the call would wait
        try:
            return self._wiring.chosen()
        except (WildtagError, OSError):  # this machine has none, as beside a Qdrant server
            return None


def stages_of(
    now: float, depths: Depths | None, ledger: LedgerState, ages: Mapping[str, float], processes: list[ProcessNote],
    models: list[ModelInUse],
) -> list[Stage]:  # fmt: skip
    """A row for each queue that every object goes through, and for the others that are in use."""
    queues = depths.queues if depths else {}
    found = []
    for name in dict.fromkeys([*STAGES, *queues, *ledger.queues]):
        depth, load = queues.get(name), ledger.queues.get(name)
        objects, since = (load.objects, load.since) if load else (0, None)
        workers = sum(one.name == name for one in processes)
        devices = tuple(dict.fromkeys(str(one) for one in models if one.queue == name))
        if name in STAGES or (depth and depth.ready) or objects or workers or devices:
            found.append(Stage(
                name=name, messages=depth.ready if depth else None, consumers=depth.consumers if depth else None,
                objects=objects, oldest_s=_age(now, since),
                progress_s=ages.get(name), processes=workers, devices=devices,
            ))  # fmt: skip
    return found


def _age(now: float, since: float | None) -> float | None:
    return None if since is None else round(max(0.0, now - since), 1)


def totals_of(finished: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """How many objects failed so far, by error code, most first."""
    found: Counter[str] = Counter()
    for (state, reason), count in finished.items():
        if state in FAILED:
            found[reason] += count
    return dict(found.most_common())


def reason_of(fault: Exception) -> str:
    """What happened to Redis, without the words that every outage is shown with."""
    return str(fault).removeprefix("Redis is unavailable: ")


def disks(folders: Mapping[str, Path]) -> list[Disk]:
    """The file systems of these folders, each once; those that are not there are left out."""
    found: dict[int, Disk] = {}
    for name, folder in folders.items():
        try:
            device, usage = folder.stat().st_dev, shutil.disk_usage(folder)
        except OSError:
            continue
        found.setdefault(device, Disk(name, str(folder), usage.free, usage.total))
    return list(found.values())


def _temporary() -> Path:
    return Path(tempfile.gettempdir())
