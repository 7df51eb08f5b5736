"""Search by text in the process that owns the index of images: it has the captions and the reference vectors, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import structlog

from tasks.hubness import ReferenceVectors
from tasks.message_parts import Vectors
from tasks.search.expansion import CAPTIONS, expanded
from vectordb.decoders import from_msgpack
from vectordb.images import ImageFilter, ImageHits, ImageSearch
from vectordb.index import CaptionSearch, Floats, IndexMissing
from workers.images.image_requests import OtherSpace
from workers.images.open_images import OpenImages
from workers.images.remote_images import OWNER
from workers.redis.rpc import RpcClient

log = structlog.get_logger()

TASK = "wildtag.search"


class TextQuery(msgspec.Struct, frozen=True):
    """The vector of a text, and its words with their weights. ``space``: of the vector; empty in older messages."""

    vector: Vectors
    words: dict[str, float]
    limit: int
    where: ImageFilter
    space: str = ""


class FoundByText(msgspec.Struct, frozen=True):
    """The images nearest to the text, with cosines to its expanded vector, and those that have its words."""

    nearest: ImageHits
    by_words: ImageHits


class TextSearch:
    """Answers text queries. ``captions``: opens those in use. ``reference_vectors``: of the encoder, if any."""

    def __init__(
        self,
        images: Callable[[], OpenImages],
        captions: Callable[[], CaptionSearch],
        reference_vectors: Callable[[], ReferenceVectors | None],
        space_id: str,
    ) -> None:
        """``space_id``: of the images."""
        self._space_id = space_id
        self._images = images
        self._captions = captions
        self._reference_vectors = reference_vectors

    def answer(self, query: TextQuery) -> FoundByText:
        """Search with the expanded vector of the text (``tasks.search.expansion``), and with its words."""
        if query.space not in {"", self._space_id}:
            raise OtherSpace("the encoder was changed while this was searched: search again")
        known = self._reference_vectors()
        reference = None if known is None else known.vectors
        vector = expanded(query.vector.array()[0], self._nearest(query.vector.array()), reference)

        def search(index: ImageSearch) -> FoundByText:
            (nearest,) = index.search(vector[None], query.limit, query.where)
            words = index.search_words(query.words, query.limit, query.where) if query.words else ImageHits((), ())
            return FoundByText(nearest, words)

        return self._images().use(search)

    def _nearest(self, vector: Floats) -> Floats:
        try:
            (found,) = self._captions().search(vector, CAPTIONS)
        except IndexMissing as exc:  # images can be found without
            log.warning("search without captions", reason=str(exc))
            return np.empty((0, vector.shape[1]), np.float32)
        return found.vectors


class RemoteTextSearch:
    """Text search in a running stack. Raises ``RpcTimeout``, ``RpcTransient`` or ``RpcPermanent``."""

    def __init__(self, rpc: RpcClient, space_id: str = "") -> None:
        """``space_id``: of the vectors that are searched with."""
        self._rpc = rpc
        self._space_id = space_id

    def find(self, vector: Floats, words: Mapping[str, float], limit: int, where: ImageFilter) -> FoundByText:
        """See ``TextSearch``. ``vector``: unit vector (d,) of the text."""
        query = TextQuery(Vectors.of(vector[None]), dict(words), limit, where, self._space_id)
        kind: Any = FoundByText
        found: FoundByText = from_msgpack(
            self._rpc.ask(OWNER, TASK, msgspec.msgpack.encode(query), "search images"), kind
        )
        return found
