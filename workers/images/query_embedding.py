"""Makes the vector of an image that is searched with, in an embedding worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tasks.encoders.protocols import ImageEncoder
from tasks.images.decoder import Decoder
from tasks.message_parts import ObjectRef, Revision
from tasks.messages import Submitted
from tasks.pipeline import PipelineOptions, embedding
from vectordb.errors import Transient
from workers.images.query_image import QueryVector
from workers.redis.connection import Client, translated
from workers.redis.keys import Keys


class QueryImageGone(Transient):
    """The bytes of the image are no longer in Redis: their sender waits no more."""


class QueryEmbedding:
    """Makes the vectors in the worker, as the embedding stage makes those of objects."""

    def __init__(
        self,
        client: Client,
        keys: Keys,
        decode: Decoder,
        encoder: Callable[[], ImageEncoder],
        options: Callable[[], PipelineOptions],
    ) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._decode = decode
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
        embedded, faults = embedding(batch, [data], encoder, self._options(), self._decode)
        for fault in faults:
            return QueryVector(code=fault.code, reason=fault.reason)
        return QueryVector(embedded.vectors)
