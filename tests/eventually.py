"""Waiting in tests: poll a condition instead of sleeping for a fixed time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def eventually(
    check: Callable[[], T],
    timeout_s: float = 60.0,
    explain: Callable[[], str] = lambda: "it did not happen in time",
    *,
    every_s: float = 0.01,
    despite: tuple[type[Exception], ...] = (),
) -> T:
    """Poll until ``check`` returns something true; return it. Fail with ``explain`` after ``timeout_s`` seconds.

    An error in ``despite`` counts as not yet; the last one is raised.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if value := check():
                return value
        except despite:
            if time.monotonic() >= deadline:
                raise
        assert time.monotonic() < deadline, explain()
        time.sleep(every_s)


def eventually_while(process: subprocess.Popen[Any], check: Callable[[], object], timeout_s: float) -> None:
    """The same, while a process runs. Fails at once when it ends."""

    def look() -> object:
        assert process.poll() is None, process.communicate()
        return check()

    eventually(look, timeout_s)
