"""A pass over a bucket from beginning to end, and a folder at which one breaks off."""

from __future__ import annotations

from collections.abc import Iterator

from workers.dispatch.reconcile import Sweep
from workers.dispatch.removals import Holds
from workers.dispatch.same_versions import Adopt, nothing
from workers.dispatch.sweeper import Sweeper
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.record_reader import Records
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.stores.folder import FolderStore
from workers.stores.store import ObjectInfo, ObjectStore


class Breaking(FolderStore):
    """A folder whose listing is interrupted after 700 objects."""

    def list(self, bucket: str, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        for number, info in enumerate(super().list(bucket, prefix, after)):
            if number == 700:
                raise KeyboardInterrupt
            yield info


def swept(
    store: ObjectStore, bucket: str, client: Client, keys: Keys, *, prefix: str = "", confirmed: bool = True,
    adopt: Adopt = nothing,
) -> Sweep:  # fmt: skip
    """Its progress. ``confirmed``: removals are believed, however many; a world of a test has few objects."""
    sweeper = Sweeper(
        store, bucket, Records(client, keys), Inbox(client, keys.inbox), client, keys, Holds(client, keys),
        confirmed=confirmed, prefix=prefix, resume=False, adopt=adopt,
    )  # fmt: skip
    while not sweeper.step(60):
        pass
    return sweeper.progress
