"""The adapters that only commands and the gateway use: search images, look for keys, migrate them."""

from __future__ import annotations

from collections.abc import Callable

from workers.captions.remote_index import RemoteEncoder
from workers.images.archive import RemoteArchive
from workers.images.finding import Finder
from workers.images.newest import Newest
from workers.images.query_image import QueryImages
from workers.images.ranked_lists import RankedLists
from workers.images.remote_images import RemoteImages
from workers.images.text_search import RemoteTextSearch
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


def finder(wiring: Wiring, rpc: RpcClient | None = None) -> Finder:
    """Searches the images of a running stack."""
    rpc = rpc or wiring.rpc
    encoder = RemoteEncoder(rpc, wiring.space)
    return Finder(
        remote_images(wiring, rpc),
        RemoteTextSearch(rpc),
        lambda text: encoder.encode([text])[0],
        QueryImages(rpc, wiring.redis, wiring.keys),
        wiring.records,
        Newest(wiring.records, wiring.redis, wiring.keys),
        RankedLists(wiring.redis, wiring.keys),
    )


def migrator(wiring: Wiring, report: Callable[[Done | str], None]) -> Migrator:
    """Migrates the keys of the Redis; ``report`` receives each step."""
    return Migrator(wiring.redis, wiring.keys, MIGRATIONS, report)
