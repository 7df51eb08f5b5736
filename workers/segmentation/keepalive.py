"""Reports progress during a long operation."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vectordb.errors import Transient


@contextmanager
def keepalive(beat: Callable[[], None], every_s: float) -> Iterator[None]:
    """Call ``beat`` from a thread every ``every_s`` seconds while the block runs: an image may take minutes.

    The time limit of the Celery task ends a block that hangs.
    """
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(every_s):
            with contextlib.suppress(Transient):  # Redis may be back next time
                beat()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
