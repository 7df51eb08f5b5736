"""Serves RPC requests of other processes: about captions and the index of images, and what is to be encoded."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tasks.encoders.protocols import TextEncoder
from tasks.extraction.phrases import Phrases
from tasks.ingestion import Ingesting, ingest
from vectordb.decoders import from_msgpack
from workers.captions.remote_index import answer
from workers.captions.versions import OpenIndexes
from workers.images import image_requests
from workers.images.archive import Archive
from workers.images.examples import ExampleBook
from workers.images.open_images import OpenImages
from workers.images.query_embedding import QueryEmbedding
from workers.images.teacher import NearFollower, near
from workers.images.text_search import TextQuery, TextSearch
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.redis.rpc import answering
from workers.stages.indexing import Indexing


class RpcServer:
    """``indexes`` and ``text_encoder`` are called at the first request; their errors are sent to the client."""

    def __init__(
        self,
        client: Client,
        keys: Keys,
        indexes: Callable[[], OpenIndexes],
        images: Callable[[], OpenImages],
        archive: Archive,
        book: ExampleBook,
        indexing: Indexing,
        text_encoder: Callable[[], TextEncoder],
        query_embedding: QueryEmbedding,
        text_search: TextSearch,
        space_id: str,
        near_follower: NearFollower,
    ) -> None:
        """``space_id``: of the images."""
        self._near_follower = near_follower
        self._space_id = space_id
        self._redis = client
        self._keys = keys
        self._indexes = indexes
        self._images = images
        self._archive = archive
        self._book = book
        self._indexing = indexing
        self._text_encoder = text_encoder
        self._query_embedding = query_embedding
        self._text_search = text_search
        self._phrases = Phrases()

    def captions(self, request: str, data: bytes) -> None:
        """Handle a request about the captions that this process owns."""
        answering(self._redis, self._keys, request, lambda: answer(self._indexes(), data))

    def images(self, request: str, data: bytes) -> None:
        """Handle a request about the index of images. Without an id nobody waits for the answer."""
        asked = image_requests.decode(data)

        def work() -> bytes:
            if isinstance(asked, image_requests.Search) and asked.space not in {"", self._space_id}:
                raise image_requests.OtherSpace("the encoder was changed while this was searched: search again")
            if isinstance(asked, image_requests.Drop):
                self._images().drop()
                return msgspec.msgpack.encode(None)
            return msgspec.msgpack.encode(self._images().use(lambda index: image_requests.answer(index, asked)))

        if request:
            answering(self._redis, self._keys, request, work)
        else:
            self._images().attempt(type(asked).__name__.lower(), lambda index: image_requests.answer(index, asked))
            match asked:
                case image_requests.Label(labels):
                    self._book.changed((f"{one.bucket}/{one.key}", one.etag) for one in labels)
                case image_requests.Remove():
                    self._book.removed(asked.ids)

    def archive(self, request: str, data: bytes) -> None:  # noqa: ARG002 -- as the others
        """Take one step of a job that seeks the images that captions concern. Nobody waits for the answer."""
        self._archive.step(data.decode())

    def near(self, request: str, data: bytes) -> None:
        """Find the images that look like that of an object. Without an id nobody waits: they are tagged again."""
        if not request:
            self._near_follower.follow(data)
            return
        answering(self._redis, self._keys, request, lambda: near(self._book, data))

    def index(self, request: str, data: bytes) -> None:
        """Add images to the index of images, see ``workers.images.index_task``."""
        self._indexing(request, data)

    def encode(self, request: str, data: bytes) -> None:
        """Encode texts for another process: taught or imported captions, or a search query."""

        def work() -> bytes:
            asked = Ingesting.decode(data)
            return ingest(asked, self._text_encoder() if asked.vectors is None else None, self._phrases).encode()

        answering(self._redis, self._keys, request, work)

    def search(self, request: str, data: bytes) -> None:
        """Search the index of images by text."""

        def work() -> bytes:
            return msgspec.msgpack.encode(self._text_search.answer(from_msgpack(data, TextQuery)))

        answering(self._redis, self._keys, request, work)

    def embed_query(self, request: str, data: bytes) -> None:
        """Make the vector of an image that is searched with."""

        def work() -> bytes:
            return msgspec.msgpack.encode(self._query_embedding.answer(data))

        answering(self._redis, self._keys, request, work)
