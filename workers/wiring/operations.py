"""The adapters that only commands and the gateway use: search images, look for keys, migrate them."""

from __future__ import annotations

from collections.abc import Callable

from workers.captions.remote_index import RemoteEncoder
from workers.images.archive import RemoteArchive
from workers.images.duplicate_finder import DuplicateFinder
from workers.images.finding import Finder
from workers.images.newest import Newest
from workers.images.query_image import QueryImages
from workers.images.ranked_lists import RankedLists
from workers.images.remote_images import RemoteImages
from workers.images.statement_journal import StatementJournal
from workers.images.teaching import Teacher
from workers.lifecycle.migrations import MIGRATIONS
from workers.lifecycle.spelling import Spellings
from workers.redis.migration import Done, Migrator
from workers.redis.rpc import RpcClient
from workers.wiring.wiring import Wiring


def spellings(wiring: Wiring, *, unrecorded: bool = False) -> Spellings:
    """Looks for keys among the records; ``unrecorded``: in the store, too."""
    return Spellings(wiring.records, wiring.store if unrecorded else None)


def archive(wiring: Wiring) -> RemoteArchive:
    """The images of a running stack, which follow captions that are taught."""
    return RemoteArchive(wiring.rpc)


def remote_images(wiring: Wiring, rpc: RpcClient | None = None) -> RemoteImages:
    """The index of images of a running stack."""
    return RemoteImages(rpc or wiring.rpc, wiring.space.dimension)


def duplicate_finder(wiring: Wiring, rpc: RpcClient | None = None) -> DuplicateFinder:
    """Finds copies among the tagged images of a running stack."""
    return DuplicateFinder(remote_images(wiring, rpc), wiring.records)


def journal(wiring: Wiring) -> StatementJournal:
    """The journal of what people said of the images of the bucket."""
    s = wiring.settings
    return StatementJournal(wiring.store, s.bucket, s.output_prefix)


def teacher(wiring: Wiring, rpc: RpcClient | None = None) -> Teacher:
    """Stores what people say of images."""
    w = wiring
    return Teacher(w.records, w.ledger, w.statements, journal(w), w.low_priority_inbox, rpc or w.rpc, w.clock)


def finder(wiring: Wiring, rpc: RpcClient | None = None) -> Finder:
    """Searches the images of a running stack."""
    rpc = rpc or wiring.rpc
    return Finder(
        remote_images(wiring, rpc),
        RemoteEncoder(rpc, wiring.space),
        QueryImages(rpc, wiring.redis, wiring.keys),
        wiring.records,
        Newest(wiring.records, wiring.redis, wiring.keys),
        RankedLists(wiring.redis, wiring.keys),
    )


def migrator(wiring: Wiring, report: Callable[[Done | str], None]) -> Migrator:
    """Migrates the keys of the Redis; ``report`` receives each step."""
    return Migrator(wiring.redis, wiring.keys, MIGRATIONS, report)
