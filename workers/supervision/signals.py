"""Signals to the supervisor: noted while it works its rounds, exceptions at other times."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Signals:
    """SIGINT, SIGTERM and SIGHUP ask for a stop. Outside the main thread, nothing is installed."""

    def __init__(self) -> None:
        self.count = 0
        """How many came in."""
        self._noting = False
        self._before = contextlib.ExitStack()

    def install(self) -> None:
        """Handle them; but a SIGHUP that is ignored stays so (nohup).

        SIGINT is handled even where it is ignored, as it is for what a script starts with ``&``.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signum != signal.SIGHUP or signal.getsignal(signum) is not signal.SIG_IGN:
                self._before.callback(signal.signal, signum, signal.signal(signum, self._on_signal))

    def restore(self) -> None:
        """Handle them as before."""
        self._before.close()

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Only count what comes in meanwhile: the caller looks at ``count``."""
        self._noting = True
        try:
            yield
        finally:
            self._noting = False

    def _on_signal(self, signum: int, _frame: FrameType | None) -> None:
        self.count += 1
        if not self._noting:
            if signum == signal.SIGINT:
                raise KeyboardInterrupt
            raise SystemExit(128 + signum)
