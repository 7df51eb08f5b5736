"""How much of what is tagged can be found: the index of images may be incomplete, or records may be."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from vectordb.errors import WildtagError
from vectordb.images import ImageSearch

FRESH_S = 2.0


class Coverage(msgspec.Struct, frozen=True):
    """``tagged`` images have a record, and ``indexed`` are in the index; ``None`` if it does not answer.

    ``indexed`` may be more: an image is in the index before it has its record, and for a moment after it was removed.
    ``refilling``: records are being made again after a loss of Redis, so that not even ``tagged`` is complete.
    """

    tagged: int
    indexed: int | None
    refilling: bool = False

    @property
    def count(self) -> str:
        """The numbers, to be shown. Those without a record are not among the tagged ones."""
        if self.indexed is None:
            return f"? of {self.tagged:,}"
        more = max(0, self.indexed - self.tagged)
        without = f", and {more:,} without a record: in progress, or just removed" if more else ""
        return f"{self.indexed - more:,} of {self.tagged:,}{without}"

    def row(self) -> dict[str, object]:
        """The fields for JSON."""
        return {"tagged": self.tagged, "indexed": self.indexed, "incomplete": self.incomplete}

    @property
    def incomplete(self) -> str | None:
        """What is missing, as a sentence; ``None`` if nothing is."""
        reasons = []
        if self.indexed is not None and self.indexed < self.tagged:
            reasons.append(
                f"{self.indexed:,} of {self.tagged:,} images can be found: the index of images is incomplete, and is"
                " being filled"
            )
        if self.refilling:
            reasons.append("Redis was empty: records are being made, and images without one are not found yet")
        return "; ".join(reasons) or None


class CoverageReader:
    """Compares the numbers, at most every two seconds. Raises ``StoreUnavailable``."""

    def __init__(
        self,
        images: ImageSearch,
        tagged: Callable[[], int],
        refilling: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._images = images
        self._tagged = tagged
        self._refilling = refilling
        self._clock = clock
        self._known: tuple[float, int | None] = (float("-inf"), None)

    def of_records(self) -> Coverage:
        """The numbers of a search that needs no index: every image that is tagged can be found."""
        tagged = self._tagged()
        return Coverage(tagged, tagged, self._refilling())

    def read(self) -> Coverage:
        """The numbers now, without waiting for long: an owner that does not answer is asked again later."""
        tagged = self._tagged()  # first: an image is in the index before it has its record
        at, indexed = self._known
        if self._clock() - at > FRESH_S:
            try:
                indexed = self._images.count()
            except (WildtagError, msgspec.DecodeError):  # a worker of another version may answer otherwise
                indexed = None
            self._known = self._clock(), indexed
        return Coverage(tagged, indexed, self._refilling())
