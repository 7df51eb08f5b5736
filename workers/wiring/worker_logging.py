"""Celery's part in logging: none of its own, and lines of a task name the task."""

from __future__ import annotations

from celery.signals import setup_logging, task_prerun
from structlog.contextvars import clear_contextvars


def connect_logging() -> None:
    """Call this before a worker begins. Logging is configured by then."""
    setup_logging.connect(_configured, weak=False)  # otherwise Celery configures it
    # not at the end of the task, because what Celery logs after it is still of the task
    task_prerun.connect(_begin, weak=False)


def _configured(**_: object) -> None:
    """Logging is configured."""


def _begin(**_: object) -> None:
    clear_contextvars()
