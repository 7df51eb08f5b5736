"""The vector of an image that is searched with, made by an embedding worker. The image itself is not kept.

Its bytes wait in Redis, not in the message: a message is sent again if no answer comes, and may be twice as large.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from tasks.encoders.protocols import ImageEncoder
from tasks.message_parts import ObjectRef, Revision, Vectors
from tasks.messages import Submitted
from tasks.pipeline import PipelineOptions, embedding
from vectordb.decoders import from_msgpack
from vectordb.errors import Permanent, Transient
from vectordb.index import Floats
from workers.redis.connection import Client, translated
from workers.redis.keys import Keys
from workers.redis.rpc import RpcClient

TASK = "wildtag.embed-query"
EMBEDDER = "embedding"  # the queue of a process that has the image encoder loaded
LIFETIME_S = 120  # of the bytes, if nobody removes them


class QueryVector(msgspec.Struct, frozen=True):
    """The vector of an image, or why there is none: as ``error`` of a record."""

    vectors: Vectors | None = None
    code: str = ""
    reason: str = ""


class BadQueryImage(Permanent):
    """The image cannot be decoded or encoded. ``code``: as of a failed record."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class QueryImageGone(Transient):
    """The bytes of the image are no longer in Redis: their sender waits no more."""


class QueryImages:
    """Sends images to an embedding worker."""

    def __init__(self, rpc: RpcClient, client: Client, keys: Keys) -> None:
        self._rpc = rpc
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys

    def vector(self, data: bytes) -> Floats:
        """The vector (dimension,) of an image. Raises ``BadQueryImage``, and the errors of ``RpcClient.ask``."""
        name = secrets.token_hex(8)
        with translated():
            self._redis.set(self._keys.query_image(name), data, ex=LIFETIME_S)
        try:
            answer = from_msgpack(self._rpc.ask(EMBEDDER, TASK, name.encode(), "embed query"), QueryVector)
        finally:
            with suppress(Transient), translated():  # it has a lifetime
                self._redis.unlink(self._keys.query_image(name))
        if answer.vectors is None:
            raise BadQueryImage(answer.code, answer.reason)
        vector: Floats = answer.vectors.array()[0]
        return vector


class QueryEmbedding:
    """Makes the vectors in the worker, as the embedding stage makes those of objects."""

    def __init__(
        self,
        client: Client,
        keys: Keys,
        encoder: Callable[[], ImageEncoder],
        options: Callable[[], PipelineOptions],
    ) -> None:
        self._redis: Any = client  # as above
        self._keys = keys
        self._encoder = encoder
        self._options = options

    def answer(self, name: bytes) -> QueryVector:
        """The vector of the image under this name. Raises ``QueryImageGone``."""
        with translated():
            data = self._redis.get(self._keys.query_image(name.decode()))
        if data is None:
            raise QueryImageGone("the image to search with is gone; send it again")
        encoder = self._encoder()
        batch = Submitted(objects=(ObjectRef("", "", ""),), revision=Revision(encoder.space.id, ""))
        embedded, faults = embedding(batch, [data], encoder, self._options())
        for fault in faults:
            return QueryVector(code=fault.code, reason=fault.reason)
        return QueryVector(embedded.vectors)
