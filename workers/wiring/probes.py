"""Probes of services, over separate connections with short timeouts.

A request may hang as long as its own timeouts allow; a later probe sees that the service is available again. A probe
raises ``Transient`` while its service is unavailable. Probes are called from several threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from workers.broker.publisher import Publisher
from workers.captions.versions import chosen
from workers.redis.connection import connect, translated
from workers.redis.keys import Keys
from workers.redis.partition_faults import service_of
from workers.redis.partitions import Partitions
from workers.settings.dependencies import BROKER, CAPTIONS, REDIS, STORE
from workers.settings.settings import Settings
from workers.stores.store import ObjectStore
from workers.wiring.captions import library_of

PATIENCE_S = 5.0
KEY = "ready"  # of an object that need not exist: the lookup reaches the store


def probes(
    settings: Settings, publisher: Publisher, store: Callable[[], ObjectStore], space: Callable[[], tuple[str, int]]
) -> Mapping[str, Callable[[], object]]:
    """Probes by service. ``store``: makes a store with short timeouts. ``space``: id and dimension of the space.

    Embedded captions have no probe, because only one process uses them.
    """
    s = settings
    impatient_store = cache(store)

    def redis_probe(keys: Keys) -> Callable[[], object]:
        redis: Any = connect(s.redis_url, keys.prefix, patience_s=PATIENCE_S, tries=1)

        def write() -> None:  # a full Redis still answers a ping
            with translated():
                redis.set(keys.probe, b"", ex=60)
                redis.eval("return 1", 0)  # a cluster refuses scripts while it moves the keys to another node

        return write

    def search() -> None:
        library, (space_id, dimension) = impatient(), space()
        index = library.open(space_id, chosen(library, space_id, s.captions))
        index.search(np.full((1, dimension), dimension**-0.5, dtype=np.float32), 1)

    impatient = cache(lambda: library_of(s.model_copy(update={"qdrant_timeout_s": PATIENCE_S})))
    found: dict[str, Callable[[], object]] = {
        REDIS: redis_probe(Keys(s.key_prefix)),
        BROKER: lambda: publisher.reach(),  # noqa: PLW0108 -- looked up at each call
        STORE: lambda: impatient_store().stat(s.bucket, f"{s.upload_prefix}{KEY}"),
    }
    if s.partitions > 1:
        for partition, keys in enumerate(Partitions(Keys(s.key_prefix), s.partitions).all):
            found[service_of(partition)] = redis_probe(keys)
    return found if s.qdrant_url is None else {**found, CAPTIONS: search}
