"""Begins the next message of a queue while the last images of the one before are still encoded.

A Celery worker runs one task at a time, so the encoder would wait between two messages: until one is acknowledged,
the next is received, and its first images are fetched and decoded. Here each message runs in a thread. Its task ends,
and so lets Celery acknowledge it and send the next one, when the message has ended or called ``release``. At most two
messages are in progress: a task does not end before the message of the task before has ended.

So a message may be acknowledged before its objects are handed on. If the process is killed then, the ledger sends
them again after their deadline, as it does for every task whose process is killed.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import structlog

from workers.stages.tally import Tally

log = structlog.get_logger()

LAST_S = 10.0  # for the last message to end when its process does; then its objects are left to the ledger


class MessageOverlap:
    """Runs messages, of which the next may begin when the one before is released. To be used by one thread."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(2, "message")
        self._running = threading.local()
        self._before: Future[Any] | None = None

    def run(self, message: Callable[[], object]) -> object:
        """Run a message. Returns when the one before has ended, and this one has ended or is released.

        Returns what it returns; of one that is released, what it said then, and how the one before ended. Raises its
        error, unless it was released before: then the error is logged.
        """
        released: Future[Any] = Future()
        before = self._before
        # lines that the message logs name its task
        ended = self._threads.submit(contextvars.copy_context().run, self._run, message, released, before)
        self.settle()
        wait([released, ended], return_when=FIRST_COMPLETED)
        if ended.done():
            return ended.result()
        ended.add_done_callback(_log_error)
        self._before = ended
        said = Tally()
        said.say(released.result() or "goes on beside the next message")
        if before is not None and before.done() and before.exception() is None:
            said.say(f"the message before: {before.result()!r}")
        return said

    def release(self, said: str = "") -> None:
        """Called by a message: the next one may begin. Does nothing when called again, or by nobody's message.

        ``said``: what became of its objects so far.
        """
        released: Future[Any] | None = getattr(self._running, "released", None)
        if released is not None and not released.done():
            released.set_result(said)

    def settle(self, timeout: float | None = None) -> None:
        """Wait until the last message has ended, for at most ``timeout`` seconds."""
        before = self._before
        if before is not None:
            wait([before], timeout)
            if before.done():
                self._before = None

    def alone(self) -> None:
        """Called by a message: wait until the one before has ended. It then has to call ``release`` never."""
        if (before := getattr(self._running, "before", None)) is not None:
            wait([before])

    def _run(self, message: Callable[[], object], released: Future[Any], before: Future[Any] | None) -> object:
        self._running.released, self._running.before = released, before
        try:
            return message()
        finally:
            self._running.released = self._running.before = None


def _log_error(ended: Future[Any]) -> None:
    if (error := ended.exception()) is not None:
        log.error("message failed after its task had ended", exc_info=error)
