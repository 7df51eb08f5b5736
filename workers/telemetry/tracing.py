"""Traces: one for each object, from its event to its record.

The sampling is decided once, when an object is accepted, and carried with it as a W3C ``traceparent``. Every span of
an object is a child of the span in which it was accepted. A message of many objects has a span of its own, with links
to those of its objects. Without tracing nothing is imported, and every function returns at once.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from typing import Any

from vectordb.errors import Permanent
from workers.telemetry.spans import Attributes, Spans

EXTRA = "opentelemetry.exporter.otlp.proto.http"


class TracingMissing(Permanent):
    """Traces are wanted, and OpenTelemetry is not installed."""


class _Nothing:
    def accept(self, began: float, parent: str, attributes: Attributes) -> tuple[str, Callable[[], None]]:
        del began, attributes
        return parent, _nothing

    def span(
        self, name: str, trace: str, began: float, ended: float, attributes: Attributes, error: str = ""
    ) -> None:
        pass

    def batch(
        self,
        name: str,
        traces: Mapping[str, str],
        began: float,
        ended: float,
        attributes: Attributes,
        error: str = "",
    ) -> None:
        pass

    def close(self, seconds: float) -> None:
        pass


def _nothing() -> None:
    pass


_NOTHING = _Nothing()
_state: dict[str, Any] = {"make": None, "spans": _NOTHING, "pid": 0}


def enabled() -> bool:
    """Whether this process traces."""
    return _state["make"] is not None


def spans() -> Spans:
    """The spans of this process. After a fork they are made anew, with an exporter of their own."""
    if _state["make"] is None:
        return _NOTHING
    if _state["pid"] != os.getpid():
        _state.update(pid=os.getpid(), spans=_state["make"]())
    found: Spans = _state["spans"]
    return found


def start(process: str, *, wanted: bool, secure: Callable[[str], str] = str) -> None:
    """Begin to trace, if it is ``wanted``. ``process``: its name. ``secure``: removes secrets from a text.

    Raises ``TracingMissing``.
    """
    if not wanted:
        _state.update(make=None, spans=_NOTHING, pid=0)
        return
    require()

    def make() -> Spans:
        from workers.telemetry.otel import exporting  # noqa: PLC0415 -- imports OpenTelemetry

        return exporting(process, secure)

    _state.update(make=make, spans=_NOTHING, pid=0)


def use(made: Spans) -> None:
    """Trace with these spans: for tests."""
    _state.update(make=lambda: made, spans=made, pid=os.getpid())


def require() -> None:
    """Raises ``TracingMissing`` if OpenTelemetry is not installed."""
    try:
        found = importlib.util.find_spec(EXTRA) is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        raise TracingMissing(
            "WILDTAG_TRACING is true, but OpenTelemetry is not installed; install it with: pip install"
            " 'wildtag[tracing]'"
        )


def close(seconds: float = 1.0) -> None:
    """Export what waits, for at most this long, when the process ends."""
    if _state["pid"] == os.getpid():
        _state["spans"].close(seconds)
