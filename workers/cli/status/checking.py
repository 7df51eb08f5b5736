"""Runs a check to its end, whatever happens: one line on standard output and an exit status, within its time."""

from __future__ import annotations

import os
import sys
import threading
from typing import NoReturn

from vectordb.errors import WildtagError
from workers.cli.status.check import Level, Limits, failed, line
from workers.cli.status.reached import NoStack, reader, why


def run_check(limits: Limits, timeout_s: float) -> NoReturn:
    """Print the line and end the process. What hangs is left behind in its thread."""
    answers: list[tuple[Level, str]] = []
    thread = threading.Thread(target=lambda: answers.append(_answer(limits)), name="check", daemon=True)
    thread.start()
    thread.join(timeout_s)
    level, said = answers[0] if answers else (Level.CRITICAL, _late(timeout_s))
    sys.stdout.write(said + "\n")
    sys.stdout.flush()
    os._exit(level)  # not even a connection that is being closed may delay it


def _answer(limits: Limits) -> tuple[Level, str]:
    try:
        found = reader().read(whole=False)
    except NoStack as exc:  # one that starts or stops will have an end soon
        level = Level.CRITICAL if exc.phase is None else Level.WARNING
        return level, failed(level, str(exc))
    except WildtagError as exc:
        return Level.UNKNOWN, failed(Level.UNKNOWN, str(exc))
    except Exception as exc:
        return Level.UNKNOWN, failed(Level.UNKNOWN, f"{type(exc).__name__}: {why(exc)}")
    return line(found, limits)


def _late(timeout_s: float) -> str:
    return failed(Level.CRITICAL, f"no answer of Redis and the broker within {timeout_s:g} s")
