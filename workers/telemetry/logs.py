"""Logging of one process: every line in one format, whoever writes it, on standard error."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterable
from types import TracebackType
from typing import IO, Any

import structlog

from workers.telemetry import library_lines
from workers.telemetry.formats import LogFormat, chosen, colours, renderer
from workers.telemetry.redaction import Redactor
from workers.telemetry.values import SafeValues

# their lines of this level help; those of other libraries begin with warnings. None at the level debug, where
# libraries print the contents of messages and whole URLs
_QUIET = {
    "celery": logging.INFO, "kombu": logging.INFO, "uvicorn": logging.INFO, "flower": logging.INFO,
    "wildtag": logging.INFO, "urllib3.connectionpool": logging.ERROR, "uvicorn.access": logging.WARNING,
}  # fmt: skip
STDERR = 2
_state: dict[str, Any] = {}


class Lines:
    """What structlog writes to: each line with one system call, so that lines of several processes do not mix."""

    def __init__(self, output: IO[str] | None = None) -> None:
        self._output = output

    def msg(self, line: str) -> None:
        """Write a line. A full disk or a closed terminal must not end the process."""
        output = self._output or sys.stderr
        if output is None:
            return
        text = f"{line}\n"
        with contextlib.suppress(OSError, ValueError):
            if output is sys.__stderr__:
                _write(STDERR, text.encode(errors="backslashreplace"))
            else:
                output.write(text)
                output.flush()

    log = debug = info = warn = warning = error = critical = fatal = failure = exception = msg


def _write(number: int, data: bytes) -> None:
    while data:
        data = data[os.write(number, data) :]


def configure(
    level: int = logging.INFO, form: LogFormat = "auto", secrets: Iterable[str] = (), process: str = "",
    output: IO[str] | None = None,
) -> None:  # fmt: skip
    """Configure logging for a long-running process. ``secrets``: values that no line may contain.

    ``process``: its name, which JSON lines have. ``output``: standard error when not given.
    """
    redactor = Redactor(secrets)
    form = chosen(form, output or sys.stderr)
    constant = {"process": process, "pid": True} if form == "json" and process else {}
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    ending: list[Any] = [
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        *([_Constant(constant)] if constant else []),
        SafeValues(redactor),
        renderer(form, colours=colours(output or sys.stderr)),
    ]
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: Lines(output),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            *shared,
            structlog.stdlib.add_logger_name,
            library_lines.fields_of_task,
            library_lines.fields_of_traces,
        ],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
    )
    handler = _Handler(Lines(output), formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(level, least))
    logging.setLogRecordFactory(library_lines.without_outage_traceback)
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False  # what a library formats wrongly is no reason for text of another format
    _limit("opentelemetry", library_lines.OnceAMinute(level=logging.WARNING, together=True), handler)
    for name, filtering in {
        "py.warnings": library_lines.without_celery_advice, "celery.app.trace": library_lines.of_stages,
        "celery.worker.strategy": library_lines.of_stages,
    }.items():  # fmt: skip
        _limit(name, filtering, None)
    _uncaught()
    _state.update(redactor=redactor, form=form, process=process)


def configured() -> bool:
    """Whether this is a long-running process, whose every line is a log line."""
    return bool(_state)


def hide(*secrets: str) -> None:
    """Secrets that this process has learned, such as a password that it made, and that no line may contain."""
    if _state:
        _state["redactor"].add(secrets)


def redacted(text: str) -> str:
    """A text without secrets."""
    redactor: Redactor = _state.get("redactor") or Redactor()
    return redactor.text(text)


class _Constant:
    """Fields of every line."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._process = fields["process"]

    def __call__(self, _logger: object, _name: str, event_dict: dict[str, Any]) -> dict[str, Any]:
        event_dict.setdefault("process", self._process)
        event_dict.setdefault("pid", os.getpid())  # after a fork another one
        return event_dict


class _Handler(logging.Handler):
    """Writes the records of ``logging``."""

    def __init__(self, lines: Lines, formatter: logging.Formatter) -> None:
        super().__init__()
        self._lines = lines
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        """See ``logging.Handler``."""
        try:
            line = self.format(record)
        except Exception as exc:  # arguments that do not fit the text
            record = logging.makeLogRecord({
                "name": record.name, "levelno": record.levelno, "levelname": record.levelname,
                "msg": f"{record.msg!s} (its arguments do not fit: {type(exc).__name__})",
            })  # fmt: skip
            line = self.format(record)
        self._lines.msg(line)


def _limit(name: str, filtering: Any, handler: logging.Handler | None) -> None:
    """Filter the lines of a logger, and with ``handler`` those of the loggers below it."""
    if handler is not None:

        def below(record: logging.LogRecord) -> bool:
            return not record.name.startswith(name) or bool(filtering.filter(record))

        handler.addFilter(below)
        return
    known = logging.getLogger(name)
    for old in [one for one in known.filters if one is filtering]:
        known.removeFilter(old)
    known.addFilter(filtering)


def _uncaught() -> None:
    """Uncaught exceptions become one line each."""
    log = structlog.get_logger()

    def ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("uncaught exception", exc_info=(kind, error, trace))

    def thread_ended(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            name = args.thread.name if args.thread else ""
            log.error("uncaught exception in a thread", thread=name,
                      exc_info=(args.exc_type, args.exc_value, args.exc_traceback))  # fmt: skip

    def unraisable(args: Any) -> None:
        where = f"{args.err_msg or 'ignored exception'}: {args.object!r}"[:500]
        log.error("uncaught exception", where=where, exc_info=(args.exc_type, args.exc_value, args.exc_traceback))

    sys.excepthook = ended
    threading.excepthook = thread_ended
    sys.unraisablehook = unraisable
    warnings.formatwarning = _one_line


def _one_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: object = None
) -> str:
    del line
    return f"{category.__name__}: {message} ({filename}:{lineno})"
