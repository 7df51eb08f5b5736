"""Requests of a worker whose times are those of Redis.

A message says when it may be processed at the earliest (``eta``) and at the latest (``expires``). The sender writes
both by the clock of Redis (``Publisher``), and the worker reads both by it: the clocks of their hosts may differ.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from celery.worker.request import Request


def request_class(clock: Callable[[], float], host: Callable[[], float] = time.time) -> type[Request]:
    """Celery's requests, whose times are changed to those of this host when they arrive.

    ``clock``: that of the senders, in Unix seconds. ``host``: that which Celery compares them with.
    """

    class TimedRequest(Request):
        """A request whose times are those of this host."""

        _eta: datetime | None
        _expires: datetime | None

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            if self._eta or self._expires:
                ahead = timedelta(seconds=host() - clock())
                self._eta = self._eta and self._eta + ahead
                self._expires = self._expires and self._expires + ahead

    return TimedRequest
