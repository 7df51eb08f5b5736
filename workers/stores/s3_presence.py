"""Checks whether a bucket exists, with one request for all threads that need the answer at the same time.

A missing object counts as removed only if its bucket exists. Many missing objects must not cause a second request
each. Caching the answer, even briefly, would report the objects of a bucket that has just disappeared as removed. An
answer is therefore shared only with callers that arrived before the request was sent: it is always newer than what it
confirms.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future


class BucketPresence:
    """Calls ``ask`` for a bucket, one call at a time; callers that arrive during a call share the next one."""

    def __init__(self, ask: Callable[[str], bool]) -> None:
        self._ask = ask
        self._turn = threading.Lock()
        self._guard = threading.Lock()
        self._next: dict[str, Future[bool]] = {}

    def __call__(self, bucket: str) -> bool:
        """The answer to a request sent after this call. Raises what ``ask`` raises, for all waiting callers."""
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
        """Stop sharing this answer with new callers."""
        with self._guard:
            if self._next.get(bucket) is mine:
                del self._next[bucket]
