"""An ``ImageIndex`` in the retrieval worker that owns it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tasks.message_parts import Vectors
from vectordb.decoders import from_msgpack
from vectordb.images import EVERYTHING, ImageEntry, ImageFact, ImageFilter, ImageHits, ImageLabels
from vectordb.index import Floats
from workers.images import image_requests as requests
from workers.redis.rpc import RpcClient

OWNER = "retrieval"  # the queue of the process that owns the index


class RemoteImages:
    """Raises ``RpcTimeout`` without a response, ``RpcTransient`` or ``RpcPermanent`` with the owner's error."""

    def __init__(self, rpc: RpcClient, dimension: int, space_id: str = "") -> None:
        """``space_id``: of the vectors that are searched with; then an index of another space refuses them."""
        self._rpc = rpc
        self._space_id = space_id
        self.dimension = dimension

    def search(self, vectors: Floats, limit: int, where: ImageFilter = EVERYTHING) -> list[ImageHits]:
        """See ``ImageSearch``."""
        found: list[ImageHits] = self._ask(
            requests.Search(Vectors.of(vectors), limit, where, self._space_id), list[ImageHits]
        )
        return found

    def search_words(self, words: Mapping[str, float], limit: int, where: ImageFilter = EVERYTHING) -> ImageHits:
        """See ``ImageSearch``."""
        found: ImageHits = self._ask(requests.SearchWords(dict(words), limit, where), ImageHits)
        return found

    def get(self, ids: Sequence[int]) -> tuple[list[ImageEntry], Floats]:
        """See ``ImageSearch``."""
        found: requests.Found = self._ask(requests.Get(tuple(ids)), requests.Found)
        return list(found.entries), found.vectors.array()

    def pages(self, after: int = -1, where: ImageFilter = EVERYTHING) -> Iterator[tuple[list[ImageEntry], Floats]]:
        """See ``ImageSearch``. The owner continues its work between two pages."""
        while found := self._ask(requests.Page(after, where), list[requests.Found]):
            yield list(found[0].entries), found[0].vectors.array()
            after = found[0].entries[-1].id

    def entries(self, after: int = -1) -> Iterator[list[ImageEntry]]:
        """See ``ImageSearch``. The owner continues its work between two pages."""
        while found := self._ask(requests.Entries(after), list[ImageEntry]):
            yield found
            after = found[-1].id

    def facts(self, ids: Sequence[int]) -> list[ImageFact]:
        """See ``ImageSearch``."""
        found: list[ImageFact] = self._ask(requests.Facts(tuple(ids)), list[ImageFact])
        return found

    def facts_after(self, after: int, limit: int) -> list[ImageFact]:
        """See ``ImageSearch``."""
        found: list[ImageFact] = self._ask(requests.FactsAfter(after, limit), list[ImageFact])
        return found

    def drop(self) -> None:
        """Remove all images, and create the index again."""
        self._ask(requests.Drop(), None)

    def count(self, where: ImageFilter = EVERYTHING) -> int:
        """See ``ImageSearch``."""
        count: int = self._ask(requests.Count(where), int)
        return count

    def ids_after(self, after: int, limit: int) -> list[int]:
        """See ``ImageSearch``."""
        found: list[int] = self._ask(requests.IdsAfter(after, limit), list[int])
        return found

    def concerned(
        self, vector: Floats, hubness: float, captions_version: str, part: Sequence[int] | None = None
    ) -> list[ImageEntry]:
        """See ``ImageSearch``."""
        ids = None if part is None else tuple(part)
        request = requests.Concerned(Vectors.of(vector[None]), hubness, captions_version, ids)
        found: list[ImageEntry] = self._ask(request, list[ImageEntry])
        return found

    def put(self, entries: Sequence[ImageEntry], vectors: Floats) -> None:
        """See ``ImageIndex``."""
        self._ask(requests.Put(tuple(entries), Vectors.of(vectors)), None)

    def label(self, labels: Sequence[ImageLabels]) -> None:
        """See ``ImageIndex``."""
        self._ask(requests.Label(tuple(labels)), None)

    def remove(self, ids: Sequence[int]) -> None:
        """See ``ImageIndex``."""
        self._ask(requests.Remove(tuple(ids)), None)

    def maintain(self) -> None:
        """See ``ImageIndex``; the owner does it."""

    def close(self) -> None:
        """See ``ImageIndex``; the owner keeps it open."""

    def _ask(self, request: requests.Request, kind: Any) -> Any:
        data = self._rpc.ask(OWNER, requests.TASK, msgspec.msgpack.encode(request), _label(request))
        return from_msgpack(data, kind)


def _label(request: requests.Request) -> str:
    return f"images {type(request).__name__.lower()}"
