"""The caption service of the gateway: teach and search captions through the workers of the stack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from vectordb.captions import Caption
from vectordb.index import CaptionIndex
from workers.captions.remote_index import RemoteEncoder, RemoteIndex
from workers.captions.teaching import NotTaught, take_back, teach
from workers.gateway.services import NoSuchCaption
from workers.redis.rpc import RpcClient
from workers.wiring.wiring import Wiring

PATIENCE_S = 20.0  # an HTTP client waits for the response


class Desk:
    """A ``CaptionDesk`` that uses the workers of a stack, or a Qdrant server directly."""

    def __init__(self, wiring: Wiring, patience_s: float = PATIENCE_S) -> None:
        self._wiring = wiring
        self._rpc = RpcClient(wiring.publisher, wiring.redis, wiring.keys, patience_s)
        self._encoder = RemoteEncoder(self._rpc, wiring.space)

    def teach(self, texts: Sequence[str], source: str) -> list[tuple[Caption, bool]]:
        """See ``CaptionDesk``."""
        with self._index() as index:
            done = teach(index, lambda: self._encoder, texts, datetime.now(UTC), source)
        return [*((caption, True) for caption in done.added), *((caption, False) for caption in done.known)]

    def search(self, text: str, limit: int) -> list[tuple[Caption, float]]:
        """See ``CaptionDesk``."""
        with self._index() as index:
            (found,) = index.search(self._encoder.encode([text]), limit)
        return list(zip(found.captions, found.similarities.tolist(), strict=True))

    def take_back(self, caption: str) -> None:
        """See ``CaptionDesk``."""
        with self._index() as index:
            try:
                take_back(index, [caption])
            except NotTaught as exc:
                raise NoSuchCaption(str(exc)) from exc

    def version(self) -> str:
        """See ``CaptionDesk``."""
        return self._wiring.chosen()

    @contextmanager
    def _index(self) -> Iterator[CaptionIndex]:
        version = self._wiring.chosen()
        if self._wiring.owned:
            yield RemoteIndex(self._rpc, version, self._wiring.space.dimension)
            return
        index = self._wiring.library.open(self._wiring.space.id, version)
        try:
            yield index
        finally:
            index.close()
