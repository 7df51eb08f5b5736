"""The images that a search finds, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from workers.client.answers import FoundImage, FoundImages


class SearchResults(Iterator[FoundImage]):
    """The images, best first. Fetches each page when it is needed; what a request raises is raised then."""

    def __init__(self, page_at: Callable[[str | None], FoundImages]) -> None:
        """``page_at``: requests the first page, or the one that a cursor stands for."""
        self._page_at = page_at
        self._page: FoundImages | None = None
        self._next = 0

    def __next__(self) -> FoundImage:
        page = self._current()
        while self._next >= len(page.images):
            if page.cursor is None:
                raise StopIteration
            page, self._next = self._page_at(page.cursor), 0
            self._page = page
        self._next += 1
        return page.images[self._next - 1]

    @property
    def incomplete(self) -> str | None:
        """Which images could not be found, and why, as the last fetched page says; ``None`` if all could."""
        return self._current().incomplete

    def _current(self) -> FoundImages:
        if self._page is None:
            self._page = self._page_at(None)
        return self._page
