"""The adapters that only commands and the gateway use: look for keys, migrate them."""

from __future__ import annotations

from collections.abc import Callable

from workers.lifecycle.migrations import MIGRATIONS
from workers.lifecycle.spelling import Spellings
from workers.redis.migration import Done, Migrator
from workers.wiring.wiring import Wiring


def spellings(wiring: Wiring, *, unrecorded: bool = False) -> Spellings:
    """Looks for keys among the records; ``unrecorded``: in the store, too."""
    return Spellings(wiring.records, wiring.store if unrecorded else None)


def migrator(wiring: Wiring, report: Callable[[Done | str], None]) -> Migrator:
    """Migrates the keys of the Redis; ``report`` receives each step."""
    return Migrator(wiring.redis, wiring.keys, MIGRATIONS, report)
