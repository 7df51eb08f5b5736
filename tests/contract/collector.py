"""A collector of OpenTelemetry: receives traces over HTTP and keeps their spans."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    """A span that was received. Ids are hexadecimal; ``links`` are the ids of spans."""

    process: str
    name: str
    trace: str
    id: str
    parent: str
    links: tuple[str, ...]
    attributes: dict[str, Any]
    failed: bool


@dataclass
class Collector:
    """``status``: what it answers. ``bodies``: what it has received, as it came."""

    url: str
    status: int = 200
    spans: list[Span] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def of(self, oid: str) -> list[Span]:
        """The spans of an object."""
        return [span for span in self.spans if span.attributes.get("wildtag.object") == oid]


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on this machine."""
    found: list[Collector] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if found[0].status == 200:
                found[0].spans += _spans(body)
                found[0].headers.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(found[0].status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.append(Collector(f"http://127.0.0.1:{server.server_port}"))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found[0]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _spans(body: bytes) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    made = []
    for of_resource in request.resource_spans:
        process = {one.key: one.value.string_value for one in of_resource.resource.attributes}["wildtag.process"]
        for scope in of_resource.scope_spans:
            for span in scope.spans:
                attributes = {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}
                made.append(Span(
                    process, span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(),
                    tuple(link.span_id.hex() for link in span.links), attributes, span.status.code == 2,
                ))  # fmt: skip
    return made
