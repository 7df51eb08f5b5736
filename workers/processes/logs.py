"""Logging of wildtag's processes and commands, as the settings want it."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import stamina
import structlog

from workers.supervision.log_files import keep_output
from workers.telemetry import library_lines, tracing
from workers.telemetry.logs import Lines, redacted
from workers.telemetry.logs import configure as configure_lines
from workers.telemetry.redaction import passwords_in, secrets_in

if TYPE_CHECKING:
    from workers.settings.settings import Settings

_VALUES = re.compile(r"TOKEN$|SECRET|PASSWORD|CREDENTIALS$|ACCESS_KEY$|API_KEY$|HEADERS$", re.IGNORECASE)
NAMES = frozenset({"s3_access_key", "s3_admin_access_key"})  # they are names of accounts, and may be words
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(settings: Settings, process: str) -> None:
    """Configure logging and tracing for a process of wildtag. ``process``: its name, such as ``dispatcher``.

    Raises ``TracingMissing``.
    """
    keep_output()
    _common()
    configure_lines(LEVELS[settings.log_level], settings.log_format, secrets_of(settings), process)
    tracing.start(process, wanted=settings.tracing, secure=redacted)


def configure_command() -> None:
    """Configure logging for a command, which prints what it has to say. Errors of what it uses are for people."""
    _common()
    logging.setLogRecordFactory(library_lines.without_outage_traceback)
    logging.getLogger("py.warnings").addFilter(library_lines.without_celery_advice)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=lambda *_: Lines(sys.stderr),
        cache_logger_on_first_use=True,
    )


def secrets_of(settings: Settings, environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """The secrets in these settings, and in variables that libraries read."""
    from workers.settings.secret_settings import SECRETS  # noqa: PLC0415 -- keeps commands quick
    from workers.settings.variables import PREFIX, variable  # noqa: PLC0415 -- as above

    for name, value in settings:
        if isinstance(value, str) and name not in NAMES:
            if name in SECRETS or settings.is_secret(variable(name)):
                yield from secrets_in(value)
            elif "://" in value:
                yield from passwords_in(value)
    for name, value in environment.items():
        if not name.startswith(PREFIX) and _VALUES.search(name):
            yield from secrets_in(value)
        elif "://" in value:  # of a proxy
            yield from passwords_in(value)


def _common() -> None:
    # outages are logged by ``workers.outages.tracker``, not by each retry and each request
    stamina.instrumentation.set_on_retry_hooks([])
    logging.getLogger("httpx").setLevel(logging.WARNING)
