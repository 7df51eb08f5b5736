"""Encodes the words of the captions while nothing else is to be done, so that images find them known.

A word costs ten times as much when it is encoded with the first image that needs it as everything else that scoring
does for an image. The words of a caption database are known beforehand: they are those of its captions.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from vectordb.captions import Caption
from vectordb.errors import WildtagError
from workers.redis.words_progress import WordsProgress

log = structlog.get_logger()

QUIET_S = 10.0  # without an object in progress, after which the machine counts as idle
LOOK_S = 1.0  # between two looks whether it is
REST_S = 60.0  # between two looks whether other captions are in use, and after a fault
SLICE, SLICE_S = 8, 0.03  # words at a time, fewer if they take longer than so many seconds; then it is looked again
MOST = 50_000  # words in the store: 80 MB


class Store(Protocol):
    """The part of a ``WordStore`` that is used."""

    def count(self) -> int: ...
    def finish(self, name: str) -> None: ...
    def is_finished(self, name: str) -> bool: ...


class WordsAhead:
    """Works in calls of ``step``; ``start`` makes them in a thread, until all is done and then once a minute."""

    def __init__(
        self,
        store: Store,
        version: Callable[[], str],
        pages: Callable[[str, int], Iterator[Sequence[Caption]]],
        labels: Callable[[Sequence[Caption]], Sequence[str]],
        encode: Callable[[Sequence[str]], object],
        busy: Callable[[], bool],
        report: Callable[[WordsProgress], object],
        recipe: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``version``: of the captions in use. ``pages``: those of a version behind an id, in the order of ids.

        ``labels``: those of captions. ``encode``: encodes words and stores them, if they are not stored. ``busy``:
        whether there are objects in progress. ``report``: receives the progress. ``recipe``: what the words depend
        on beside the captions. ``clock``: seconds.
        """
        self._store = store
        self._version = version
        self._pages = pages
        self._labels = labels
        self._encode = encode
        self._busy = busy
        self._report = report
        self._recipe = recipe
        self._clock = clock
        self._quiet_since = clock()
        self._of = ""
        self._finished = self._full = False
        self._after = -1
        self._captions = self._words = 0
        self._seen: set[str] = set()
        self._waiting: list[str] = []
        self._size = SLICE

    def start(self) -> None:
        """Work in a thread of this process, which ends with it."""
        threading.Thread(target=self._run, name="words-ahead", daemon=True).start()

    def step(self) -> float:
        """Read some captions or encode some words, if nothing else is to be done.

        Returns the seconds to wait before the next call: as long as the words took, so that half of a core stays
        free. Raises ``WildtagError``, ``sqlite3.Error``, ``OSError``.
        """
        now = self._clock()
        if self._busy():
            self._quiet_since = now
        if now - self._quiet_since < QUIET_S:
            return LOOK_S
        self._look_at_version()
        if self._finished:
            return REST_S
        if self._waiting:
            part = self._waiting[: self._size]
            self._encode(part)
            del self._waiting[: len(part)]
            self._words += len(part)
            self._adapt(len(part), self._clock() - now)
        else:
            self._read()
        return self._clock() - now

    def _adapt(self, words: int, seconds: float) -> None:
        """Choose how many words take ``SLICE_S`` at most: those of a large model take long."""
        self._size = SLICE if seconds * SLICE <= SLICE_S * words else max(1, int(SLICE_S * words / seconds))

    def _name(self) -> str:
        return f"{self._recipe}/{self._of}"

    def _look_at_version(self) -> None:
        version = self._version()
        if version != self._of:
            self._of, self._after, self._waiting = version, -1, []
            self._captions = self._words = 0
            self._seen = set()
            self._finished, self._full = self._store.is_finished(self._name()), False
            self._tell()

    def _read(self) -> None:
        page = next(self._pages(self._of, self._after), None)
        if page:
            self._after = page[-1].id
            self._captions += len(page)
            # broader nouns come again and again
            self._waiting = [one for one in dict.fromkeys(self._labels(page)) if one not in self._seen]
            self._seen.update(self._waiting)
        self._full = page is not None and self._store.count() >= MOST
        if page is None:
            self._store.finish(self._name())
        if page is None or self._full:
            self._finished, self._waiting, self._seen = True, [], set()
            log.info(
                "words encoded ahead", captions_version=self._of, captions=self._captions, words=self._words,
                all=not self._full,
            )  # fmt: skip
        self._tell()

    def _tell(self, fault: str = "") -> None:
        if self._full:
            fault = f"{MOST:,} words are kept at most; others are encoded when they are needed"
        finished = self._finished and not self._full
        self._report(WordsProgress(self._of, self._captions, self._words, finished=finished, fault=fault))

    def _run(self) -> None:
        while True:
            try:
                pause = self.step()
            except WildtagError as exc:  # such as an outage, or captions that were dropped
                log.debug("words not encoded ahead", reason=str(exc))
                pause = REST_S
            except Exception as exc:  # a full disk, a home that cannot be written, or what a model raises
                log.warning(
                    "words not encoded ahead", reason=str(exc), then="they are encoded when they are needed",
                    exc_info=None if isinstance(exc, sqlite3.Error | OSError) else exc,
                )  # fmt: skip
                with suppress(WildtagError):
                    self._tell(str(exc) or type(exc).__name__)
                return
            time.sleep(pause)
