"""Searching the captions that another process owns: the question goes to its queue, the answer into a Redis list."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
import numpy as np

from tasks.messages import Vectors
from vectordb.captions import Caption
from vectordb.errors import Transient
from vectordb.index import CaptionIndex, Floats, Neighbours
from workers.connection import Client, translated
from workers.layout import Keys
from workers.publishing import Publisher

PATIENCE_S = 60
ANSWER_LIFETIME_S = 120


class OwnerSilent(Transient):
    """The process that owns the captions did not answer."""


class _Found(msgspec.Struct, frozen=True):
    """One query's neighbours on the wire."""

    captions: list[tuple[int, str, dict[str, Any]]]
    similarities: Vectors
    vectors: Vectors


def answer(index: CaptionIndex, client: Client, keys: Keys, request: str, vectors: bytes, limit: int) -> None:
    """The owner's side: search and put the answer where the asker waits for it."""
    queries = np.frombuffer(vectors, dtype=np.float32).reshape(-1, index.dimension)
    found = [
        _Found(
            [(c.id, c.text, dict(c.payload)) for c in n.captions],
            Vectors.of(n.similarities[None]),
            Vectors.of(n.vectors),
        )
        for n in index.search(queries, limit)
    ]
    with translated():
        pipe = client.pipeline()
        pipe.rpush(keys.rpc(request), msgspec.msgpack.encode(found))
        pipe.expire(keys.rpc(request), ANSWER_LIFETIME_S)
        pipe.execute()


class RemoteIndex:
    """A ``CaptionSearch``. Raises ``OwnerSilent`` when no answer comes within a minute."""

    def __init__(self, publisher: Publisher, client: Client, keys: Keys, dimension: int) -> None:
        self._publisher = publisher
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self.dimension = dimension

    def search(self, vectors: Floats, limit: int) -> list[Neighbours]:
        """See ``CaptionSearch``."""
        request = secrets.token_hex(8)
        self._publisher.search(request, np.ascontiguousarray(vectors, dtype=np.float32).tobytes(), limit)
        with translated():
            got = self._redis.blpop([self._keys.rpc(request)], timeout=PATIENCE_S)
        if got is None:
            raise OwnerSilent(f"the running stack did not answer in {PATIENCE_S} s; see its log of worker-retrieval")
        return [
            Neighbours(tuple(Caption(*c) for c in f.captions), f.similarities.array()[0], f.vectors.array())
            for f in msgspec.msgpack.decode(got[1], type=list[_Found])
        ]
