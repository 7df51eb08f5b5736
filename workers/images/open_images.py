"""The index of images that this process has open. It is derived: a fault of it never costs an image its tags."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from vectordb.errors import WildtagError
from vectordb.image_library import ImageLibrary
from vectordb.images import ImageIndex
from vectordb.index import IndexFault, IndexMissing
from workers.monitoring.measured import measured_index

log = structlog.get_logger()

T = TypeVar("T")
PAUSE_S = 5.0  # after a fault, until the index is used again on the way of an image


class OpenImages:
    """The index of one space, opened at the first use. ``library`` is called then."""

    def __init__(
        self,
        library: Callable[[], ImageLibrary],
        space_id: str,
        dimension: int,
        clock: Callable[[], float] = time.monotonic,
        on_empty: Callable[[], object] = lambda: None,
    ) -> None:
        """``on_empty``: called when an index is opened that holds nothing: it is new, or was lost."""
        self._on_empty = on_empty
        self._library = library
        self._space_id = space_id
        self._dimension = dimension
        self._clock = clock
        self._index: ImageIndex | None = None
        self._paused_until = 0.0
        self._failing = False

    def index(self) -> ImageIndex:
        """The index. Raises ``IndexLocked``, ``IndexFault`` or ``ServerAway``."""
        if self._index is None:
            self._index = measured_index(self._library().open(self._space_id, self._dimension), "images")
            if not self._index.count():
                self._on_empty()
        return self._index

    def use(self, work: Callable[[ImageIndex], T]) -> T:
        """Do this with the index; once more if it was removed or replaced while it was open.

        Raises what ``index`` raises, and what ``work`` raises.
        """
        try:
            return work(self.index())
        except (IndexFault, IndexMissing, OSError) as exc:
            log.warning("image index opened again", reason=str(exc))
            self.close()
        try:
            return work(self.index())
        except OSError as exc:
            raise IndexFault(f"the index of images failed: {exc}") from exc

    def drop(self) -> None:
        """Remove the index; an empty one is created at its next use."""
        self.close()
        self._library().drop(self._space_id)

    def attempt(self, purpose: str, work: Callable[[ImageIndex], T]) -> T | None:
        """Do this with the index on the way of an image, then maintain it. ``None`` if it fails; it then rests.

        The verification of the index finds what was not done.
        """
        if self._clock() < self._paused_until:
            return None
        try:
            index = self.index()
            done = work(index)
        except (WildtagError, OSError) as exc:  # a folder that was removed, for one
            if not self._failing:
                log.warning("image index failed", purpose=purpose, reason=str(exc), then="tagging goes on without")
            self._failing = True
            self._paused_until = self._clock() + PAUSE_S
            self.close()
            return None
        if self._failing:
            log.info("image index works again", purpose=purpose)
            self._failing = False
        try:
            index.maintain()
        except (WildtagError, OSError) as exc:
            log.warning("graph of the image index not built", reason=str(exc))
        return done

    def close(self) -> None:
        """Release the index; it is opened again when needed."""
        index, self._index = self._index, None
        if index is not None:
            try:
                index.close()
            except (WildtagError, OSError) as exc:  # what was not flushed is found by the verification
                log.warning("image index not closed", reason=str(exc))
