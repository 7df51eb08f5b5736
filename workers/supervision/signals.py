"""Signals to the supervisor: counted while it works, raised as exceptions at other times."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Signals:
    """Handles SIGINT, SIGTERM and SIGHUP as requests to stop. Outside the main thread, installs nothing."""

    def __init__(self) -> None:
        self.count = 0
        """The number of received signals."""
        self._noting = False
        self._before = contextlib.ExitStack()

    def install(self) -> None:
        """Install the handlers; an ignored SIGHUP stays ignored (nohup).

        SIGINT is handled even if it is ignored, as it is in programs that a script starts with ``&``.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signum != signal.SIGHUP or signal.getsignal(signum) is not signal.SIG_IGN:
                self._before.callback(signal.signal, signum, signal.signal(signum, self._on_signal))

    def restore(self) -> None:
        """Restore the previous handlers."""
        self._before.close()

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Only count signals inside this context; the caller reads ``count``."""
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
