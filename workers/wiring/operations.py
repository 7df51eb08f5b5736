"""The adapters that mostly commands and the gateway use: look for keys, migrate them, ask about images."""

from __future__ import annotations

from collections.abc import Callable

from workers.captions.remote_index import RemoteEncoder
from workers.images.archive import RemoteArchive, StalledJobs
from workers.images.coverage import CoverageReader
from workers.images.duplicate_finder import DuplicateFinder
from workers.images.finding import Finder
from workers.images.findings import StoredStanding, VerificationWanted
from workers.images.newest import Newest
from workers.images.query_image import QueryImages
from workers.images.ranked_lists import RankedLists
from workers.images.remote_images import RemoteImages
from workers.images.statement_journal import Restoration, StatementJournal
from workers.images.teacher import Teacher, Unfollowed
from workers.images.text_search import RemoteTextSearch
from workers.lifecycle.losses import Losses
from workers.lifecycle.migrations import MIGRATIONS
from workers.lifecycle.spelling import Spellings
from workers.redis.connection import connect
from workers.redis.layout import Layout
from workers.redis.migration import Done, Migrator
from workers.redis.rpc import PATIENCE_S, RpcClient
from workers.wiring.wiring import Wiring

COVERAGE_S = 1.0  # for the count of images in the index: an answer without it is better than none


def spellings(wiring: Wiring, *, unrecorded: bool = False, names: bool = True) -> Spellings:
    """Looks for keys among the records; ``unrecorded``: in the store, too; ``names``: by names of files, too."""
    return Spellings(wiring.records, wiring.store if unrecorded else None, names=names)


def impatient_layout(wiring: Wiring) -> Layout:
    """The layout of the keys over a connection that gives up after two seconds."""
    s = wiring.settings
    return Layout(
        connect(s.redis_url, s.key_prefix, patience_s=2.0, tries=1), wiring.keys, s.partitions, wiring.clock
    )


def archive(wiring: Wiring, rpc: RpcClient | None = None, patience_s: float = PATIENCE_S) -> RemoteArchive:
    """The images of a running stack, which follow captions that are taught."""
    return RemoteArchive(rpc or wiring.rpc, wiring.follow_jobs, wiring.publisher, patience_s)


def stalled_jobs(wiring: Wiring) -> StalledJobs:
    """Jobs that seek the images that captions concern, and make no progress."""
    return StalledJobs(wiring.follow_jobs, wiring.publisher)


def remote_images(wiring: Wiring, rpc: RpcClient | None = None) -> RemoteImages:
    """The index of images of a running stack."""
    return RemoteImages(rpc or wiring.rpc, wiring.space.dimension, wiring.space.id)


def duplicate_finder(wiring: Wiring, rpc: RpcClient | None = None) -> DuplicateFinder:
    """Finds copies among the tagged images of a running stack."""
    return DuplicateFinder(remote_images(wiring, rpc), wiring.records)


def journal(wiring: Wiring) -> StatementJournal:
    """The journal of what people said of the images of the bucket."""
    s = wiring.settings
    return StatementJournal(wiring.store, s.bucket, s.output_prefix)


def restoration(wiring: Wiring) -> Restoration:
    """Replays that journal into an empty Redis."""
    w = wiring
    return Restoration(
        journal(w), w.statements, w.backlog, w.clock, w.ledger.server_run, gaps=not w.prepares
    )  # an encoder that prepares has copies of the statements


def unfollowed(wiring: Wiring) -> Unfollowed:
    """What was said, while the images that look like that one are not tagged again yet."""
    w = wiring
    return Unfollowed(w.statements, w.ledger, w.publisher, w.clock)


def teacher(wiring: Wiring, rpc: RpcClient | None = None) -> Teacher:
    """Stores what people say of images."""
    w = wiring
    return Teacher(
        w.records, w.ledger, w.statements, journal(w), w.low_priority_inbox, w.backlog, rpc or w.rpc, w.clock
    )


def losses(wiring: Wiring) -> Losses:
    """What the last loss of all keys of Redis has cost."""
    return Losses(wiring.redis, wiring.keys, wiring.clock, wiring.records.counts if wiring.partitioned else None)


def verification_wanted(wiring: Wiring) -> VerificationWanted:
    """Whether the owner of the index of images wants it to be compared now."""
    return VerificationWanted(wiring.redis, wiring.keys)


def images_standing(wiring: Wiring) -> StoredStanding:
    """The last comparison of the index of images with the records."""
    return StoredStanding(wiring.redis, wiring.keys)


def finder(wiring: Wiring, rpc: RpcClient | None = None, found: CoverageReader | None = None) -> Finder:
    """Searches the images of a running stack. ``found``: tells how many of them it can find."""
    rpc = rpc or wiring.rpc
    encoder = RemoteEncoder(rpc, wiring.space)
    return Finder(
        remote_images(wiring, rpc),
        RemoteTextSearch(rpc, wiring.space.id),
        lambda text: encoder.encode([text])[0],
        QueryImages(rpc, wiring.redis, wiring.keys),
        wiring.records,
        Newest(wiring.records),
        RankedLists(wiring.redis, wiring.keys),
        found or coverage(wiring),
    )


def coverage(wiring: Wiring) -> CoverageReader:
    """How many of the tagged images can be found."""
    rpc = RpcClient(wiring.publisher, wiring.redis, wiring.keys, COVERAGE_S)
    versions = wiring.record_versions(wiring.space.id)
    refill = wiring.refill
    return CoverageReader(remote_images(wiring, rpc), versions.count, lambda: refill.since() is not None)


def migrator(wiring: Wiring, report: Callable[[Done | str], None]) -> Migrator:
    """Migrates the keys of the Redis; ``report`` receives each step."""
    w = wiring
    parts = list(zip(w.partition_clients, w.partitions.all, strict=True)) if w.partitioned else []
    return Migrator(w.redis, w.keys, MIGRATIONS, report, parts=parts)
