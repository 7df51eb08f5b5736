"""A stack of stand-ins for tests of search: a real Redis and a real index of images in a world of colours."""

from __future__ import annotations

import io
from functools import cached_property
from pathlib import Path
from typing import cast

import msgspec
import numpy as np
from PIL import Image

from tasks.extraction.phrases import Phrases
from tasks.images import decode_with_media
from tasks.ingestion import Ingesting, ingest
from tasks.message_parts import ObjectRef
from tests.contract.real_depths import real_depths
from tests.unit.segmentation.world import CAPTIONS, CHOICES, SPACE, Colours, Texts
from vectordb.captions import Caption
from vectordb.decoders import from_msgpack
from vectordb.exact import ExactIndex
from vectordb.image_edge import EdgeImages
from vectordb.image_library import ImageLibrary
from vectordb.images import ImageEntry
from workers.broker.depths import DepthReader
from workers.broker.publisher import Publisher
from workers.captions.remote_index import ENCODE
from workers.images import image_requests, query_image, text_search
from workers.images.labels import labels_of
from workers.images.open_images import OpenImages
from workers.images.query_embedding import QueryEmbedding
from workers.lifecycle.record import Record
from workers.redis.rpc import answering
from workers.wiring.wiring import Wiring

Colour = tuple[int, int, int]
RED, GREEN, BLUE = (220, 30, 30), (30, 200, 40), (40, 40, 220)


def reddish(lean: int) -> Colour:
    """A red that is farther from red the more it leans to green, up to 190."""
    return (220, 30 + lean, 30)


def picture(colour: Colour) -> bytes:
    """A picture of a colour."""
    out = io.BytesIO()
    Image.new("RGB", (20, 20), colour).save(out, "PNG")
    return out.getvalue()


class SearchingWorld(Wiring):
    """A wiring whose workers answer at once, in this process. ``away``: the queues that do not."""

    space = SPACE

    @cached_property
    def away(self) -> set[str]:
        return set()

    @cached_property
    def index(self) -> EdgeImages:
        """The index of images."""
        return EdgeImages.create(Path(self.settings.home) / "images", SPACE.dimension)

    def open(self, *_: object) -> EdgeImages:
        """As the library of images does."""
        return self.index

    @cached_property
    def open_images(self) -> OpenImages:
        return OpenImages(lambda: cast("ImageLibrary", self), SPACE.id, SPACE.dimension)

    @cached_property
    def publisher(self) -> Publisher:
        return cast("Publisher", self)

    @cached_property
    def depths(self) -> DepthReader:
        return real_depths(self)

    @cached_property
    def embedding(self) -> QueryEmbedding:
        return QueryEmbedding(self.redis, self.keys, decode_with_media, Colours, lambda: CHOICES)

    @cached_property
    def texts(self) -> text_search.TextSearch:
        captions = ExactIndex(SPACE.dimension)
        captions.add([Caption.of(text) for text in CAPTIONS], Texts().encode(CAPTIONS))
        return text_search.TextSearch(lambda: self.open_images, lambda: captions, lambda: None, SPACE.id)

    def ask(self, queue: str, task: str, request: str, data: bytes, label: str, lifetime: float) -> None:
        """What a worker would do when the message reaches it."""
        assert label
        assert lifetime > 0
        if queue in self.away:
            return
        answering(self.redis, self.keys, request, lambda: self._answer(task, data))

    def _answer(self, task: str, data: bytes) -> bytes:
        if task == ENCODE:
            return ingest(Ingesting.decode(data), Texts(), Phrases()).encode()
        if task == text_search.TASK:
            return msgspec.msgpack.encode(self.texts.answer(from_msgpack(data, text_search.TextQuery)))
        if task == query_image.TASK:
            return msgspec.msgpack.encode(self.embedding.answer(data))
        assert task == image_requests.TASK
        return msgspec.msgpack.encode(image_requests.answer(self.index, image_requests.decode(data)))

    def indexed(self, ref: ObjectRef, record: Record, data: bytes) -> None:
        """Put an image into the index, as the workers do."""
        vector = Colours().encode([Image.open(io.BytesIO(data))])
        taken = record.media.taken_at if record.media else None
        self.index.put([ImageEntry(ref.bucket, ref.key, ref.etag, taken_at=taken)], np.asarray(vector))
        self.index.label([labels_of(record)])
