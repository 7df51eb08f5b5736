"""The caption service of the gateway: teach and search captions through the workers of the stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from tasks.encoders.protocols import TextEncoder
from vectordb.captions import Caption
from vectordb.index import CaptionIndex
from workers.captions.teaching import NotTaught, remove_taught, teach
from workers.gateway.services import Lesson, NoSuchCaption
from workers.images.archive import RemoteArchive


class CaptionService:
    """A ``CaptionStore`` that uses the workers of a stack, or a Qdrant server directly."""

    def __init__(
        self,
        encoder: TextEncoder,
        chosen: Callable[[], str],
        open_index: Callable[[str], CaptionIndex],
        archive: RemoteArchive,
    ) -> None:
        """``chosen`` gives the captions version in use, ``open_index`` its index, which is closed after each call.

        ``archive``: follows what is added and removed.
        """
        self._encoder = encoder
        self._chosen = chosen
        self._open_index = open_index
        self._archive = archive

    def teach(self, texts: Sequence[str], source: str, *, dry: bool = False) -> Lesson:
        """See ``CaptionStore``."""
        version = self._chosen()
        following = self._archive.following(version, dry=dry)
        with self._index(version) as index:
            done = teach(
                index,
                lambda: self._encoder,
                texts,
                datetime.now(UTC),
                source,
                dry=dry,
                before=following.before,
            )
        followed = following.finish()
        added = [(caption, True, count) for caption, count in zip(done.added, followed.counts, strict=True)]
        known = [(caption, False, 0) for caption in done.known]
        return Lesson([*added, *known], followed.images, followed.complete)

    def search(self, text: str, limit: int) -> list[tuple[Caption, float]]:
        """See ``CaptionStore``."""
        with self._index(self._chosen()) as index:
            (found,) = index.search(self._encoder.encode([text]), limit)
        return list(zip(found.captions, found.similarities.tolist(), strict=True))

    def remove_taught(self, caption: str) -> int:
        """See ``CaptionStore``."""
        version = self._chosen()
        following = self._archive.following(version)
        with self._index(version) as index:
            try:
                remove_taught(index, [caption], lambda: self._encoder, before=following.before)
            except NotTaught as exc:
                raise NoSuchCaption(str(exc)) from exc
        return following.finish().images

    def version(self) -> str:
        """See ``CaptionStore``."""
        return self._chosen()

    def in_use(self) -> tuple[str, int]:
        """``name@version`` of the captions in use, and their number."""
        version = self._chosen()
        with self._index(version) as index:
            return version, index.count()

    @contextmanager
    def _index(self, version: str) -> Iterator[CaptionIndex]:
        index = self._open_index(version)
        try:
            yield index
        finally:
            index.close()
