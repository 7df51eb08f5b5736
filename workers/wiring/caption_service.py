"""The caption service of the gateway: teach and search captions through the workers of the stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from tasks.encoders.protocols import TextEncoder
from vectordb.captions import Caption
from vectordb.index import CaptionIndex
from workers.captions.teaching import NotTaught, remove_taught, teach
from workers.gateway.services import NoSuchCaption


class CaptionService:
    """A ``CaptionStore`` that uses the workers of a stack, or a Qdrant server directly."""

    def __init__(
        self, encoder: TextEncoder, chosen: Callable[[], str], open_index: Callable[[str], CaptionIndex]
    ) -> None:
        """``chosen`` gives the captions version in use, ``open_index`` its index, which is closed after each call."""
        self._encoder = encoder
        self._chosen = chosen
        self._open_index = open_index

    def teach(self, texts: Sequence[str], source: str) -> list[tuple[Caption, bool]]:
        """See ``CaptionStore``."""
        with self._index() as index:
            done = teach(index, lambda: self._encoder, texts, datetime.now(UTC), source)
        return [*((caption, True) for caption in done.added), *((caption, False) for caption in done.known)]

    def search(self, text: str, limit: int) -> list[tuple[Caption, float]]:
        """See ``CaptionStore``."""
        with self._index() as index:
            (found,) = index.search(self._encoder.encode([text]), limit)
        return list(zip(found.captions, found.similarities.tolist(), strict=True))

    def remove_taught(self, caption: str) -> None:
        """See ``CaptionStore``."""
        with self._index() as index:
            try:
                remove_taught(index, [caption])
            except NotTaught as exc:
                raise NoSuchCaption(str(exc)) from exc

    def version(self) -> str:
        """See ``CaptionStore``."""
        return self._chosen()

    @contextmanager
    def _index(self) -> Iterator[CaptionIndex]:
        index = self._open_index(self._chosen())
        try:
            yield index
        finally:
            index.close()
