"""Indexes of images on a Qdrant server: one collection for each space, ``PREFIX images-SPACE-DIGEST`` (no blanks)."""

from __future__ import annotations

import hashlib

from qdrant_client import QdrantClient

from vectordb.image_server import DEFAULT, ServerImages
from vectordb.index import IndexExists, IndexMissing
from vectordb.library import safe
from vectordb.options import IndexOptions
from vectordb.server_client import ask


class ServerImageLibrary:
    """An ``ImageLibrary`` on a Qdrant server. Uses the client, also for the indexes it opens, and never closes it."""

    def __init__(self, client: QdrantClient, options: IndexOptions = DEFAULT, *, prefix: str = "wildtag-") -> None:
        self._client = client
        self._options = options
        self._prefix = safe(prefix)

    def open(self, space_id: str, dimension: int) -> ServerImages:
        """See ``ImageLibrary``. Several processes may open it, and create it at the same time."""
        collection = self._collection(space_id)
        try:
            return ServerImages.open(self._client, collection, self._options)
        except IndexMissing:
            if ask(self._client.collection_exists, collection):  # somebody else's
                raise
        try:
            return ServerImages.create(self._client, collection, dimension, self._options)
        except IndexExists:
            return ServerImages.open(self._client, collection, self._options)

    def drop(self, space_id: str) -> None:
        """See ``ImageLibrary``."""
        ask(self._client.delete_collection, self._collection(space_id))

    def _collection(self, space_id: str) -> str:
        digest = hashlib.blake2b(space_id.encode(), digest_size=4).hexdigest()
        return f"{self._prefix}images-{safe(space_id)[:50]}-{digest}"
