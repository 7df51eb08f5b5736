"""Spans by OpenTelemetry, sent to a collector over HTTP. Its standard variables say where, how and how many."""

from __future__ import annotations

import atexit
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from workers.telemetry.origin import sampled, traceparent
from workers.telemetry.spans import Attributes
from workers.telemetry.values import without_surrogates

LONGEST = 1024  # characters of an attribute: that of a key
LINKS = 128  # of a span, OpenTelemetry's own limit


class OtelSpans:
    """See ``workers.telemetry.spans.Spans``. ``secure``: removes secrets from a text."""

    def __init__(self, processor: SpanProcessor, process: str, secure: Callable[[str], str] = str) -> None:
        self._secure = secure
        given = Resource.create({
            "service.name": os.environ.get("OTEL_SERVICE_NAME") or "wildtag",
            "service.version": version("wildtag"),
            "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
            "wildtag.process": process,
        })  # fmt: skip
        self._objects = TracerProvider(resource=given, shutdown_on_exit=False)  # with the sampler of the environment
        self._batches = TracerProvider(sampler=ALWAYS_ON, resource=given, shutdown_on_exit=False)
        for provider in (self._objects, self._batches):
            provider.add_span_processor(processor)
        self._processor = processor
        self._tracer = self._objects.get_tracer("wildtag")
        self._batch_tracer = self._batches.get_tracer("wildtag")

    def accept(self, began: float, parent: str, attributes: Attributes) -> tuple[str, Callable[[], None]]:
        """See ``Spans``."""
        context = _context(parent)
        span = self._tracer.start_span(
            "accept", context, kind=SpanKind.CONSUMER, attributes=dict(self._shown(attributes)), start_time=_ns(began)
        )
        own = span.get_span_context()
        return f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}", span.end

    def span(
        self, name: str, trace: str, began: float, ended: float, attributes: Attributes, error: str = ""
    ) -> None:
        """See ``Spans``."""
        if sampled(trace):
            self._span(name, trace, began, ended, attributes, error)

    def batch(
        self,
        name: str,
        traces: Mapping[str, str],
        began: float,
        ended: float,
        attributes: Attributes,
        error: str = "",
    ) -> None:
        """See ``Spans``."""
        wanted = {oid: one for oid, one in traces.items() if sampled(one)}
        if not wanted:
            return
        made = [
            self._span(name, one, began, ended, {**attributes, "wildtag.object": oid}, error)
            for oid, one in wanted.items()
        ]
        span = self._batch_tracer.start_span(
            f"{name} batch", trace.set_span_in_context(NonRecordingSpan(trace.INVALID_SPAN_CONTEXT)),
            links=[Link(one) for one in made[:LINKS]], attributes=dict(self._shown(attributes)),
            start_time=_ns(began),
        )  # fmt: skip
        self._end(span, ended, error)

    def close(self, seconds: float) -> None:
        """See ``Spans``."""
        # the exporter may wait longer for a collector that is away; the thread ends with the process
        ending = threading.Thread(target=self._processor.shutdown, daemon=True)
        ending.start()
        ending.join(seconds)

    def _span(
        self, name: str, parent: str, began: float, ended: float, attributes: Attributes, error: str
    ) -> SpanContext:
        span = self._tracer.start_span(
            name, _context(parent), attributes=dict(self._shown(attributes)), start_time=_ns(began)
        )
        self._end(span, ended, error)
        return span.get_span_context()

    def _end(self, span: trace.Span, ended: float, error: str) -> None:
        if error:
            span.set_status(Status(StatusCode.ERROR, self._secure(error)[:LONGEST]))
        span.end(_ns(ended))

    def _shown(self, attributes: Attributes) -> Iterator[tuple[str, str | int | float | bool]]:
        for name, value in attributes.items():
            yield name, without_surrogates(self._secure(value)[:LONGEST]) if isinstance(value, str) else value


def exporting(process: str, secure: Callable[[str], str]) -> OtelSpans:
    """Spans that a thread sends to the collector in the background; what does not fit in its queue is dropped."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 -- tests export to memory
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 -- as above

    made = OtelSpans(BatchSpanProcessor(OTLPSpanExporter()), process, secure)
    pid = os.getpid()
    atexit.register(lambda: made.close(1.0) if os.getpid() == pid else None)
    return made


def _context(parent: str) -> Context:
    """The context of a ``traceparent``; without one, none, so that a trace begins."""
    valid = traceparent(parent)
    if not valid:
        return trace.set_span_in_context(NonRecordingSpan(trace.INVALID_SPAN_CONTEXT))
    _, trace_id, span_id, flags = valid.split("-")
    found = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
    return trace.set_span_in_context(NonRecordingSpan(found))


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
