"""One trace an object, from its event to its record; messages of many objects are linked. Exported to memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tasks.message_parts import ObjectRef, Origin, Revision
from tasks.messages import Submitted
from workers.dispatch.arrival_reports import report, with_origin, with_traces
from workers.gateway.origins import of_this_request
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.ledger import Arrival
from workers.lifecycle.record_reports import recorded
from workers.stages.message_reports import reported
from workers.stages.tally import Tally
from workers.telemetry import tracing
from workers.telemetry.origin import RequestContext, current, request_id, traceparent
from workers.telemetry.otel import OtelSpans

CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SENT = frozenset({"entered"})


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    found = InMemorySpanExporter()
    tracing.use(OtelSpans(SimpleSpanProcessor(found), "test", secure=lambda text: text.replace("secret", "***")))
    yield found
    tracing.start("test", wanted=False)


def through_all_processes(events: list[ObjectEvent]) -> None:
    """Events to records, by what each process calls of logs and traces."""
    arrivals = [Arrival(ObjectRef(e.bucket, e.key, "e1", origin=e.origin)) for e in events]
    entered = [one for a in arrivals if (one := with_origin(a, None, "1700000000000-0")) is not None]
    traced, accepting = with_traces(entered)
    report(traced, ["entered"] * len(traced), SENT, accepting, time.time())
    batch = Submitted(objects=tuple(a.ref for a in traced), revision=Revision("space", "captions"))
    for stage in ("embedding", "scoring"):
        batch = Submitted.decode(batch.encode())  # as over the broker
        with reported(stage, Tally()) as told:
            told(batch.objects)
    for ref in batch.objects[1:]:
        recorded(ref, "done", time.time())
    recorded(batch.objects[0], "failed", time.time(), "damaged")


def names(spans: Any) -> list[str]:
    return [span.name for span in spans]


def test_an_object_that_waits_for_segmentation_goes_on_with_its_trace(exporter: InMemorySpanExporter) -> None:
    traced, accepting = with_traces([Arrival(ObjectRef("b", "a.png", "e1"))])
    report(traced, ["waiting"], SENT, accepting, time.time())
    again, accepting = with_traces(traced)  # as the queue gives it back
    assert (again, accepting) == (traced, {})
    report(again, ["entered"], SENT, accepting, time.time())
    spans: Any = exporter.get_finished_spans()
    assert names(spans) == ["accept", "dispatch"]
    assert spans[1].parent.span_id == spans[0].context.span_id


def test_objects_of_a_message_have_a_trace_each_and_the_message_links_them(exporter: InMemorySpanExporter) -> None:
    through_all_processes([ObjectEvent("created", "b", f"{n}.jpg") for n in range(3)])
    spans = exporter.get_finished_spans()
    traces: dict[int, list[Any]] = {}
    batches = [span for span in spans if span.name.endswith(" batch")]
    for span in spans:
        if span not in batches:
            traces.setdefault(span.context.trace_id, []).append(span)
    assert len(traces) == 3
    for own in traces.values():
        assert names(own) == ["accept", "dispatch", "embedding", "scoring", "record"]
        assert {span.parent and span.parent.span_id for span in own[1:]} == {own[0].context.span_id}
        assert len({span.attributes["wildtag.object"] for span in own}) == 1
        assert own[0].start_time == 1_700_000_000_000_000_000, "when the event came"
    for batch in batches:
        linked = {link.context.span_id for link in batch.links}
        stage = batch.name.removesuffix(" batch")
        assert linked == {span.context.span_id for own in traces.values() for span in own if span.name == stage}
        assert (batch.attributes or {})["wildtag.objects"] == 3
    failed = [span for span in spans if not span.status.is_ok]
    assert [(span.attributes or {})["wildtag.code"] for span in failed if span.name == "record"] == ["damaged"]


def test_an_upload_continues_the_trace_of_its_client(exporter: InMemorySpanExporter) -> None:
    token = current.set(RequestContext("r1", traceparent(CLIENT)))
    try:
        events = of_this_request([ObjectEvent("created", "b", "k", etag="e1")], time.time())
    finally:
        current.reset(token)
    assert events[0].origin is not None
    assert events[0].origin.request == "r1"
    through_all_processes(events)
    spans = [span for span in exporter.get_finished_spans() if not span.name.endswith(" batch")]
    assert names(spans) == ["accept", "dispatch", "embedding", "scoring", "record"]
    assert {f"{span.context.trace_id:032x}" for span in spans} == {CLIENT.split("-")[1]}
    assert spans[0].parent is not None
    assert f"{spans[0].parent.span_id:016x}" == CLIENT.split("-")[2]


def test_what_is_not_sampled_at_first_makes_no_span_anywhere(exporter: InMemorySpanExporter) -> None:
    token = current.set(RequestContext("r1", CLIENT[:-2] + "00"))
    try:
        events = of_this_request([ObjectEvent("created", "b", "k")], time.time())
    finally:
        current.reset(token)
    through_all_processes(events)
    assert exporter.get_finished_spans() == ()


def test_the_share_of_sampled_objects_is_decided_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.25")
    found = InMemorySpanExporter()
    tracing.use(OtelSpans(SimpleSpanProcessor(found), "test"))
    try:
        for n in range(200):
            through_all_processes([ObjectEvent("created", "b", f"{n}.jpg")])
    finally:
        tracing.start("test", wanted=False)
    spans = found.get_finished_spans()
    traces: dict[str, set[str]] = {}
    for span in spans:
        if not span.name.endswith(" batch"):
            traces.setdefault(str((span.attributes or {})["wildtag.object"]), set()).add(span.name)
    assert 15 < len(traces) < 95
    assert {frozenset(one) for one in traces.values()} == {
        frozenset({"accept", "dispatch", "embedding", "scoring", "record"})
    }


def test_an_object_that_is_not_entered_begins_no_trace(exporter: InMemorySpanExporter) -> None:
    traced, accepting = with_traces([Arrival(ObjectRef("b", "k", "e1"))])
    report(traced, ["duplicate"], SENT, accepting, time.time())
    assert exporter.get_finished_spans() == ()


def test_attributes_have_no_secrets_and_are_bounded(exporter: InMemorySpanExporter) -> None:
    through_all_processes([ObjectEvent("created", "b", "secret" + "x" * 5000)])
    for span in exporter.get_finished_spans():
        value = str((span.attributes or {}).get("wildtag.object", ""))
        assert "secret" not in value
        assert len(value) < 1100


def test_without_tracing_nothing_is_carried_and_none_of_its_packages_is_imported() -> None:
    arrivals = [Arrival(ObjectRef("b", "k", "e1"))]
    assert with_traces(arrivals) == (arrivals, {})
    code = (
        "import sys; import workers.processes.worker, workers.processes.dispatcher, workers.processes.gateway;"
        # redis-py imports the part for metrics wherever that is installed
        "mine = ('opentelemetry.sdk.trace', 'opentelemetry.exporter', 'workers.telemetry.otel');"
        "sys.exit(any(name.startswith(mine) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_tracing_without_its_packages_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "EXTRA", "no.such.package")
    with pytest.raises(tracing.TracingMissing, match=r"pip install 'wildtag\[tracing\]'"):
        tracing.start("gateway", wanted=True)


def test_older_messages_and_events_are_read_and_newer_ones_without_an_origin_are_as_before() -> None:
    ref = {"bucket": "b", "key": "k", "etag": "e"}
    assert msgspec.convert(ref, ObjectRef).origin is None
    assert msgspec.to_builtins(ObjectRef("b", "k", "e")) == ref
    event = {"kind": "created", "bucket": "b", "key": "k"}
    assert msgspec.convert(event, ObjectEvent).origin is None
    assert msgspec.to_builtins(ObjectEvent("created", "b", "k")) == event


def test_the_request_of_the_first_event_of_a_version_stays() -> None:
    first = Arrival(ObjectRef("b", "k", "e1", origin=Origin("first")))
    for later, wanted in (
        (ObjectRef("b", "k", "e1"), "first"), (ObjectRef("b", "k", "e1", origin=Origin("second")), "first"),
        (ObjectRef("b", "k", "e2"), ""), (ObjectRef("b", "k", "e2", origin=Origin("second")), "second"),
    ):  # fmt: skip
        made = with_origin(Arrival(later), first, None)
        assert made is not None
        assert made.ref.request == wanted


@pytest.mark.parametrize("given", ["", "with blank", "a" * 129, "new\nline", 'quote"', "ünicode", None])
def test_invalid_ids_of_requests_are_replaced(given: str | None) -> None:
    made = request_id(given)
    assert made != given
    assert len(made) == 16


@pytest.mark.parametrize("given", ["", "00-0-0-01", CLIENT + "-x", "00-" + "0" * 32 + "-b7ad6b7169203331-01", None])
def test_an_invalid_traceparent_counts_as_none(given: str | None) -> None:
    assert traceparent(given) == ""
    assert traceparent(CLIENT) == CLIENT
    assert request_id("0af7-AB.c_d:e+f/g=@") == "0af7-AB.c_d:e+f/g=@"
