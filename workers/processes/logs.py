"""Logging: one line per event on standard error, with time, level, event and key=value pairs."""

from __future__ import annotations

import logging
import sys
from typing import Any

import stamina
import structlog

from vectordb.errors import Transient
from workers.supervision.log_files import keep_output


class OnceAMinute(logging.Filter):
    """Passes each repeated error at most once a minute. Lower levels pass unchanged."""

    def __init__(self, seconds: float = 60.0) -> None:
        super().__init__()
        self._seconds = seconds
        self._passed: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """See ``logging.Filter``."""
        if record.levelno < logging.ERROR:
            return True
        last = self._passed.get(str(record.msg))
        if last is not None and record.created - last < self._seconds:
            return False
        self._passed[str(record.msg)] = record.created
        return True


def without_outage_traceback(*args: Any, **options: Any) -> logging.LogRecord:
    """Make a log record. The traceback of a lost connection becomes the error's text: the outage is not a bug.

    What Celery says of it in several lines becomes one."""
    record = logging.LogRecord(*args, **options)
    error = record.exc_info[1] if record.exc_info else None
    if error is not None and isinstance(error, _lost()):
        record.msg = " ".join(f"{record.getMessage()} ({type(error).__name__}: {error})".split())
        record.args, record.exc_info = (), None
    elif record.name.startswith(("celery.worker", "kombu", "flower")) and "\n" in str(record.msg):
        record.msg = " ".join(str(record.msg).split())
    return record


def _lost() -> tuple[type[BaseException], ...]:
    """Errors of a service that is unavailable."""
    from amqp.exceptions import ConnectionError as AmqpConnectionError  # noqa: PLC0415 -- keeps commands quick
    from kombu.exceptions import OperationalError  # noqa: PLC0415 -- as above
    from redis.exceptions import ConnectionError as RedisConnectionError  # noqa: PLC0415 -- as above
    from redis.exceptions import TimeoutError as RedisTimeoutError  # noqa: PLC0415 -- as above

    return (
        RedisConnectionError, RedisTimeoutError, OperationalError, AmqpConnectionError, ConnectionError, Transient,
    )  # fmt: skip


def without_celery_advice(record: logging.LogRecord) -> bool:
    """Drop the warning that Celery repeats at every lost connection about a setting that wildtag has chosen."""
    return "worker_cancel_long_running_tasks_on_connection_loss" not in record.getMessage()


def configure(level: int = logging.INFO) -> None:
    """Configure logging for a process of wildtag."""
    if level <= logging.INFO:  # not of a command
        keep_output()
    # outages are logged by ``workers.outages.tracker``, not by each retry and each request
    stamina.instrumentation.set_on_retry_hooks([])
    logging.setLogRecordFactory(without_outage_traceback)
    logging.getLogger("py.warnings").addFilter(without_celery_advice)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
