"""Whether a bucket is there, asked once for all threads that want to know it at the same time.

A missing object counts as gone only when its bucket is there, and a storm of them must not ask twice for each. To
remember a "yes", for however short a time, would take the objects of a bucket that has just vanished for gone. So an
answer is shared only with those who came before its question was put: it is always younger than what it confirms.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future


class Presence:
    """Puts the question ``ask``, of a bucket, one at a time; who comes while it is being answered shares the next."""

    def __init__(self, ask: Callable[[str], bool]) -> None:
        self._ask = ask
        self._turn = threading.Lock()
        self._guard = threading.Lock()
        self._next: dict[str, Future[bool]] = {}

    def __call__(self, bucket: str) -> bool:
        """The answer to a question that is put from now on. Raises what ``ask`` raises, in all who wait for it."""
        with self._guard:
            shared = self._next.get(bucket)
            if shared is None:
                mine = self._next[bucket] = Future()
        if shared is not None:
            return shared.result()
        try:
            with self._turn:
                self._close(bucket, mine)
                mine.set_result(self._ask(bucket))
        except BaseException as exc:
            self._close(bucket, mine)
            mine.set_exception(exc)
            raise
        return mine.result()

    def _close(self, bucket: str, mine: Future[bool]) -> None:
        """From now on it is too late to share this answer."""
        with self._guard:
            if self._next.get(bucket) is mine:
                del self._next[bucket]
