"""Access to captions that another process owns (Qdrant Edge allows one process), and encoding in a worker.

The owner is the retrieval worker, which answers between two batches. Texts are encoded by a worker that has the text
encoder loaded. So teaching a caption or running a search loads no model in the calling process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from tasks.encoders.protocols import Space
from tasks.ingestion import Ingested, Ingesting
from tasks.message_parts import Vectors
from vectordb.captions import Caption
from vectordb.decoders import from_msgpack
from vectordb.index import CaptionIndex, Floats, Neighbours
from workers.captions.versions import OpenIndexes
from workers.redis.rpc import RpcClient

TASK = "wildtag.captions"
ENCODE = "wildtag.encode"
OWNER = "retrieval"  # the queue of the process that owns the captions
ENCODER = "scoring"  # the queue of a process that has the text encoder loaded


class _Caption(msgspec.Struct, frozen=True, array_like=True):
    id: int
    text: str
    payload: dict[str, Any]

    @classmethod
    def of(cls, caption: Caption) -> _Caption:
        return cls(caption.id, caption.text, dict(caption.payload))

    def caption(self) -> Caption:
        return Caption(self.id, self.text, self.payload)


class _Found(msgspec.Struct, frozen=True):
    """The neighbours of one query, or a page of captions without similarities."""

    captions: list[_Caption]
    vectors: Vectors
    similarities: list[float] = []

    @classmethod
    def of(cls, captions: Sequence[Caption], vectors: Floats, similarities: Floats | None = None) -> _Found:
        values = [] if similarities is None else similarities.tolist()
        return cls(list(map(_Caption.of, captions)), Vectors.of(vectors), values)


class _Question(msgspec.Struct, frozen=True, tag_field="ask", forbid_unknown_fields=True):
    version: str


class Search(_Question, frozen=True, tag="search"):
    """Find the nearest captions of each vector."""

    vectors: Vectors
    limit: int


class Add(_Question, frozen=True, tag="add"):
    """Insert or replace captions."""

    captions: list[_Caption]
    vectors: Vectors


class Remove(_Question, frozen=True, tag="remove"):
    """Remove captions by id."""

    ids: list[int]


class Get(_Question, frozen=True, tag="get"):
    """Look up captions by id."""

    ids: list[int]


class Page(_Question, frozen=True, tag="page"):
    """List the captions after an id."""

    source: str | None
    after: int
    taught: bool = False


class Count(_Question, frozen=True, tag="count"):
    """Count the captions."""


class Release(_Question, frozen=True, tag="release"):
    """Close the version, so that another process can open it."""


_REQUEST: Any = Search | Add | Remove | Get | Page | Count | Release


def answer(indexes: OpenIndexes, data: bytes) -> bytes:
    """Handle a request in the process that owns the captions."""
    question: Any = from_msgpack(data, _REQUEST)
    if isinstance(question, Release):
        indexes.release(question.version)
        return b""
    return msgspec.msgpack.encode(_done(indexes.open(question.version), question))


def _done(index: CaptionIndex, question: Search | Add | Remove | Get | Page | Count) -> object:
    match question:
        case Search(_, vectors, limit):
            return [_Found.of(n.captions, n.vectors, n.similarities) for n in index.search(vectors.array(), limit)]
        case Add(_, captions, vectors):
            index.add([caption.caption() for caption in captions], vectors.array())
        case Remove(_, ids):
            index.remove(ids)
        case Get(_, ids):
            return list(map(_Caption.of, index.get(ids)))
        case Page(_, source, after, taught):
            return [_Found.of(*page) for page in _first(index.pages(source, after, taught=taught))]
        case Count():
            return index.count()
    return None


def _first(pages: Iterator[tuple[list[Caption], Floats]]) -> list[tuple[list[Caption], Floats]]:
    page = next(pages, None)
    return [] if page is None else [page]


class RemoteIndex:
    """A ``CaptionIndex`` of one version in the process that owns it. Raises ``RpcTimeout`` without a reply."""

    def __init__(self, rpc: RpcClient, version: str, dimension: int) -> None:
        self._rpc = rpc
        self._version = version
        self.dimension = dimension

    def search(self, vectors: Floats, limit: int) -> list[Neighbours]:
        """See ``CaptionSearch``."""
        found = self._ask(Search(self._version, Vectors.of(vectors), limit), list[_Found])
        return [
            Neighbours(
                tuple(caption.caption() for caption in one.captions),
                np.array(one.similarities, dtype=np.float32),
                one.vectors.array(),
            )
            for one in found
        ]

    def add(self, captions: Sequence[Caption], vectors: Floats) -> None:
        """See ``CaptionIndex``."""
        self._ask(Add(self._version, list(map(_Caption.of, captions)), Vectors.of(vectors)), None)

    def remove(self, ids: Sequence[int]) -> None:
        """See ``CaptionIndex``."""
        self._ask(Remove(self._version, list(ids)), None)

    def get(self, ids: Sequence[int]) -> list[Caption]:
        """See ``CaptionIndex``."""
        return [caption.caption() for caption in self._ask(Get(self._version, list(ids)), list[_Caption])]

    def pages(
        self, source: str | None = None, after: int = -1, *, taught: bool = False
    ) -> Iterator[tuple[list[Caption], Floats]]:
        """See ``CaptionIndex``. The owner continues its work between two pages."""
        while found := self._ask(Page(self._version, source, after, taught), list[_Found]):
            captions = [caption.caption() for caption in found[0].captions]
            yield captions, found[0].vectors.array()
            after = captions[-1].id

    def count(self) -> int:
        """See ``CaptionIndex``."""
        count: int = self._ask(Count(self._version), int)
        return count

    def release(self) -> None:
        """Let the owner close the version; it opens it again when needed."""
        self._rpc.ask(OWNER, TASK, msgspec.msgpack.encode(Release(self._version)), "release")

    def close(self) -> None:
        """See ``CaptionIndex``; the owner keeps it open."""

    def _ask(self, question: _Question, kind: Any) -> Any:
        label = type(question).__name__.lower()
        data = self._rpc.ask(OWNER, TASK, msgspec.msgpack.encode(question), label)
        return from_msgpack(data, kind)


class RemoteEncoder:
    """A ``TextEncoder`` in a worker that has it loaded."""

    def __init__(self, rpc: RpcClient, space: Space, queue: str = ENCODER) -> None:
        self._rpc = rpc
        self._queue = queue
        self.space = space

    def encode(self, texts: Sequence[str]) -> Floats:
        """See ``TextEncoder``."""
        question = Ingesting(texts=tuple(texts), space_id=self.space.id)
        return Ingested.decode(self._rpc.ask(self._queue, ENCODE, question.encode(), "encode")).vectors.array()
