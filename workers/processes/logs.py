"""Log lines: time, level, event, then key=value. One line an event, to standard error."""

from __future__ import annotations

import logging
import sys

import stamina
import structlog


class OnceAMinute(logging.Filter):
    """Lets each error of a logger through once a minute, however often it is repeated; all else as it comes."""

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


def configure(level: int = logging.INFO) -> None:
    """Set up logging for a process that was started as one of wildtag's."""
    # what is away is told by ``workers.outages.tracker``, and not by each try and each request to reach it
    stamina.instrumentation.set_on_retry_hooks([])
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
