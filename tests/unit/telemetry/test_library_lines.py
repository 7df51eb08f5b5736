"""Log records: a lost connection is one line, a bug keeps its traceback."""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from typing import Any

import pytest
import redis
from amqp.exceptions import ConnectionForced

from workers.redis.connection import StoreUnavailable
from workers.telemetry.library_lines import without_celery_advice, without_outage_traceback


def formatted(error: Exception) -> str:
    try:
        raise error  # noqa: TRY301 -- to have a traceback
    except Exception:  # as whoever logs it
        exc_info: Any = sys.exc_info()
    message = "consumer: Connection to broker lost. Trying to re-establish\nthe %s..."
    record = without_outage_traceback("celery", logging.WARNING, "file.py", 1, message, ("connection",), exc_info)
    return logging.Formatter("%(message)s").format(record)


@pytest.mark.parametrize(
    "error",
    [redis.ConnectionError("closed by server"), ConnectionResetError("reset"), StoreUnavailable("gone"),
     ConnectionForced("broker forced connection closure")],
)  # fmt: skip
def test_a_lost_connection_is_one_line_with_its_reason(error: Exception) -> None:
    (line,) = formatted(error).splitlines()
    assert line.startswith("consumer: Connection to broker lost. Trying to re-establish the connection... (")
    assert str(error) in line


def test_celery_s_advice_at_a_lost_connection_is_dropped() -> None:
    advice = import_module("celery.worker.consumer.consumer").CANCEL_TASKS_BY_DEFAULT  # not in Celery's stubs

    def passes(message: str) -> bool:
        record = logging.LogRecord("py.warnings", logging.WARNING, "file.py", 1, "%s", (message,), None)
        return without_celery_advice(record)

    assert not passes(advice)
    assert passes("another warning")


def test_a_bug_keeps_its_traceback() -> None:
    assert "Traceback" in formatted(ValueError("a bug"))
