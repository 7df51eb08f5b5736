"""Creates the dispatcher, the keeper and the sweeper."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from workers.dispatch.dispatcher import Dispatcher
from workers.dispatch.event_filter import EventFilter
from workers.dispatch.feed_replay import FeedReplay
from workers.dispatch.folder_mounts import FolderMounts
from workers.dispatch.keeper import Keeper
from workers.dispatch.pace import Pace
from workers.dispatch.removals import Limits, RemovalGuard
from workers.dispatch.requested_sweeps import RequestedSweeps, SweepRequests
from workers.dispatch.same_versions import Adopt, SameVersions, nothing
from workers.dispatch.sweeper import Sweeper
from workers.images.follower import Follower
from workers.segmentation.artifact_names import FOLDER
from workers.segmentation.partitioned_queue import PartitionedSegmentQueue
from workers.segmentation.queue import SegmentQueue
from workers.settings.settings import STAGES, Settings
from workers.stores.folder import FolderStore
from workers.stores.folder_versions import same_version
from workers.stores.store import ObjectInfo
from workers.wiring.wiring import Wiring

BATCH_WAIT_MS = 20  # how long a batch waits for more objects


def dispatcher(wiring: Wiring, consumer: str) -> Dispatcher:
    """A dispatcher with this consumer name."""
    w, s = wiring, wiring.settings
    pace = Pace(s.batch_max, BATCH_WAIT_MS, s.in_flight_max, s.deadline_s, s.give_up_s)
    return Dispatcher(
        w.inbox, w.low_priority_inbox, segment_queue(w),
        w.ledger, w.store, w.artifacts, w.publisher, w.event_sink,
        EventFilter(
            w.redis, w.keys, w.event_sink, w.clock, w.records.known if w.partitioned else None
        ),
        RemovalGuard(w.store, w.records, w.holds, w.redis, w.keys, limits(s), w.clock, mounts(w), w.interrupted),
        w.current, w.object_filter.key, s.segmented, pace, consumer, w.clock, w.outage_tracker, adopt(w),
    )  # fmt: skip


def segment_queue(wiring: Wiring) -> SegmentQueue:
    """The objects to be segmented."""
    w, at_once = wiring, wiring.settings.segmenting_max
    if not w.partitioned:
        return SegmentQueue(w.redis, w.keys, w.ledger, at_once, w.clock)
    queues = [
        SegmentQueue(client, keys, w.ledger, at_once, w.clock)
        for client, keys in zip(w.partition_clients, w.partitions.all, strict=True)
    ]
    return PartitionedSegmentQueue(queues, w.partitions, w.partition_faults, w.ledger, at_once, w.clock)


def sweeper(
    wiring: Wiring, bucket: str | None = None, *, prefix: str = "", since: float | None = None, resume: bool = True,
    rate: float | None = None, confirmed: bool = False,
) -> Sweeper:  # fmt: skip
    """A sweeper of a bucket, by default that of the settings. ``rate``: by default that of the settings.

    ``since``: only objects changed since then, Unix seconds; all when not given. ``confirmed``: see ``Sweeper``.
    """
    w, s, object_filter = wiring, wiring.settings, wiring.object_filter

    def wanted(info: ObjectInfo) -> bool:
        return object_filter.key(info.ref.key) and (since is None or info.modified is None or info.modified >= since)

    return Sweeper(
        w.store, bucket or s.bucket, w.records, w.inbox, w.redis, w.keys, w.holds,
        limits=limits(s), confirmed=confirmed, prefix=prefix, wanted=wanted, resume=resume and since is None,
        rate=rate or s.reconcile_rate, adopt=adopt(w), mounts=mounts(w),
        refill=w.refill if since is None and bucket in {None, s.bucket} else None, interrupted=w.interrupted,
        strays=stray_artifacts(w) if since is None else lambda _: iter(()),
    )  # fmt: skip


def stray_artifacts(wiring: Wiring) -> Callable[[str], Iterator[int]]:
    """Goes through the artifacts of a bucket. Nothing is loaded for that in a process that finds none."""
    w, s = wiring, wiring.settings

    def compare(bucket: str) -> Iterator[int]:
        if next(iter(w.store.list(bucket, f"{s.output_prefix}{FOLDER}")), None) is None:
            return
        from workers.segmentation.stray_artifacts import StrayArtifacts  # noqa: PLC0415 -- most find none

        strays = StrayArtifacts(
            w.store, w.records, w.artifacts, w.segmentation_requests, w.inbox, w.clock,
            output=s.output_prefix, followed=w.object_filter.key, rule=s.segmented, methods=s.segmentation_methods,
        )  # fmt: skip
        yield from strays.compare(bucket)

    return compare


def requested_sweeps(wiring: Wiring, *, parts: bool = False) -> RequestedSweeps:
    """Decides when the sweep is brought forward. ``parts``: it may also compare parts of the bucket."""
    part = (lambda prefix: sweeper(wiring, prefix=prefix, resume=False)) if parts else None
    return RequestedSweeps(SweepRequests(wiring.redis, wiring.keys), part)


def limits(settings: Settings) -> Limits:
    """How many objects may be missing at once."""
    return Limits(settings.removals_share, settings.removals_least, settings.hold_removals)


def mounts(wiring: Wiring) -> FolderMounts | None:
    """Remembers the folder that serves as the bucket; ``None`` for a bucket on a server."""
    store = wiring.store
    return FolderMounts(wiring.redis, wiring.keys, store.mount) if isinstance(store, FolderStore) else None


def adopt(wiring: Wiring) -> Adopt:
    """Recognises files of a folder that were copied or restored."""
    if wiring.settings.s3_endpoint is not None:
        return nothing
    told = follower(wiring, lambda: None).adopt
    return SameVersions(wiring.records, wiring.ledger, same_version, wiring.statements, told).adopt


def follower(wiring: Wiring, on_gap: Callable[[], object], *, gather_s: float = 0.0) -> Follower:
    """Brings the index of images in step with the records. ``on_gap`` and ``gather_s``: see ``Follower``."""
    w = wiring
    return Follower(w.records, w.publisher, w.redis, w.keys, w.space.id, on_gap, gather_s=gather_s)


def keeper(wiring: Wiring) -> Keeper:
    """A keeper of the ledger."""
    w, s = wiring, wiring.settings
    return Keeper(
        w.ledger, w.inbox, w.health, w.publisher, w.current,
        stages=STAGES, deadline_s=s.deadline_s, max_attempts=s.max_attempts, give_up_s=s.give_up_s,
        clock=w.clock, away=w.outages.common, store=w.store,
    )  # fmt: skip


def feed_replay(wiring: Wiring) -> FeedReplay:
    """Adds to the feed what a change of the encoder has replaced."""
    w = wiring
    return FeedReplay(w.redis, w.keys, w.records, w.settings.feed_length)
