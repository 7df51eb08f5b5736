"""The adapters that only commands and the gateway use: look for keys, migrate them."""

from __future__ import annotations

from collections.abc import Callable

from workers.images.archive import RemoteArchive
from workers.images.remote_images import RemoteImages
from workers.images.statement_journal import Restoration, StatementJournal
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


def journal(wiring: Wiring) -> StatementJournal:
    """The journal of what people said of the images of the bucket."""
    s = wiring.settings
    return StatementJournal(wiring.store, s.bucket, s.output_prefix)


def restoration(wiring: Wiring) -> Restoration:
    """Replays that journal into an empty Redis."""
    w = wiring
    return Restoration(journal(w), w.statements, w.low_priority_inbox, w.clock)


def teacher(wiring: Wiring, rpc: RpcClient | None = None) -> Teacher:
    """Stores what people say of images."""
    w = wiring
    return Teacher(w.records, w.ledger, w.statements, journal(w), w.low_priority_inbox, rpc or w.rpc, w.clock)


def migrator(wiring: Wiring, report: Callable[[Done | str], None]) -> Migrator:
    """Migrates the keys of the Redis; ``report`` receives each step."""
    return Migrator(wiring.redis, wiring.keys, MIGRATIONS, report)
