"""Lines of libraries: their records of ``logging`` become events like our own."""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from typing import Any

from vectordb.errors import Transient

_TASK = re.compile(r"wildtag\.(?P<stage>[a-z-]+)$")
STAGE_LINES = frozenset({"embedding", "retrieval", "extraction", "scoring", "segmentation"})


TEXTS = 1000  # that are remembered


class OnceAMinute(logging.Filter):
    """Passes each repeated line of at least ``level`` at most once a minute. Lower levels pass unchanged."""

    def __init__(self, seconds: float = 60.0, level: int = logging.ERROR, *, together: bool = False) -> None:
        """``together``: lines with different texts count as one."""
        super().__init__()
        self._seconds = seconds
        self._level = level
        self._together = together
        self._passed: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """See ``logging.Filter``."""
        if record.levelno < self._level:
            return True
        which = "" if self._together else str(record.msg)
        last = self._passed.get(which)
        if last is not None and record.created - last < self._seconds:
            return False
        if len(self._passed) >= TEXTS:  # of errors whose text differs each time
            self._passed.clear()
        self._passed[which] = record.created
        return True


def without_outage_traceback(*args: Any, **options: Any) -> logging.LogRecord:
    """Make a log record. The traceback of a lost connection becomes the error's text: the outage is not a bug.

    What Celery says of it in several lines becomes one."""
    record = logging.LogRecord(*args, **options)
    error = record.exc_info[1] if record.exc_info else None
    if error is not None and isinstance(error, _lost()):
        record.msg = " ".join(f"{record.getMessage()} ({type(error).__name__}: {error})".split())
        record.args, record.exc_info = (), None
    elif str(record.name).startswith(("celery.worker", "kombu", "flower")) and "\n" in str(record.msg):
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


def of_stages(record: logging.LogRecord) -> bool:
    """Drop what Celery says of each message of a stage, received and succeeded: the stage says more itself.

    Probes, which come all the time, are of no interest either.
    """
    data = getattr(record, "data", None)
    if not isinstance(data, dict) or record.levelno > logging.INFO:
        return True
    if record.name == "celery.worker.strategy":  # of every message, that it was received
        return False
    name = str(data.get("name", ""))
    found = _TASK.match(name)
    return not (name.startswith("wildtag.probe.") or (found is not None and found["stage"] in STAGE_LINES))


def fields_of_task(_logger: object, _name: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor: a line of Celery about a task names the task in fields."""
    record = event_dict.get("_record")
    data = getattr(record, "data", None)
    if isinstance(data, dict) and "name" in data:
        event_dict["task"] = data.get("id")
        event_dict["task_name"] = data["name"]
        if "runtime" in data:
            event_dict["seconds"] = round(float(data["runtime"]), 4)
    return event_dict


def fields_of_traces(_logger: object, _name: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor: what OpenTelemetry says of a collector that is away has one event."""
    if str(event_dict.get("logger", "")).startswith("opentelemetry.") and event_dict.get("level") != "info":
        event_dict["reason"], event_dict["event"] = event_dict["event"], "traces not sent"
    return event_dict
