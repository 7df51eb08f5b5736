"""A fake MinIO: it sends the events of a bucket as MinIO does, in front of an S3 server that does the rest.

Its behaviour, and the sources:

- A webhook with a queue folder gets its events on a timer of 3 s, in order, and again until the response is 2xx:
  MinIO, ``internal/store/store.go``, ``retryInterval``; measured on its last public source (February 2026).
- A webhook without one gets each event immediately and only once (``Save`` in ``internal/event/target/webhook.go``).
- The listen API with ``ping=N`` sends nothing, no header either, before the first event or the first
  ``{"Records":null}`` after N seconds; without it a blank every 500 ms: ``ListenNotificationHandler``.
- ``deaf``: the request is accepted, but nothing is ever flushed: sources after commit 52eee5a2f (2025-10-23).
- ``buffered``: a proxy forwards the header, but only full buffers of the body.
- Keys are form-encoded in a webhook's records, and not in those of the listen API; changed tags are
  ``ObjectCreated:PutTagging`` with the sequencer of the upload.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, quote_plus, unquote, urlsplit

from vectordb.proxies import DIRECT

Listening = Literal["pings", "blanks", "deaf", "buffered"]

TIMER_S = 3.0
BLANK_S = 0.5
BUFFER = 4096  # bytes, as in a proxy
HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "server", "date"}


@dataclass
class Server:
    """The server, while it runs. Its behaviour can be changed at any time.

    ``webhook``: where events are POSTed; ``None`` for nowhere. ``events``: all events in order. ``listeners``: number
    of requests of the listen API so far; ``pings``: the ``ping`` parameter of each.
    """

    url: str
    upstream: str
    bucket: str
    webhook: str | None = None
    at_once: str | None = None  # a second target, without a queue folder
    token: str | None = None
    timer_s: float = TIMER_S
    listening: Listening = "pings"
    refuses: int = 0  # error status for listeners; 0: none
    events: list[dict[str, Any]] = field(default_factory=list)
    listeners: int = 0
    pings: list[str | None] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    _queue: list[dict[str, Any]] = field(default_factory=list)
    _heard: threading.Condition = field(default_factory=threading.Condition)
    _sequencers: dict[str, int] = field(default_factory=dict)
    _generation: int = 0

    def happened(self, name: str, key: str, etag: str = "", size: int = 0) -> None:
        """Send the event of a change."""
        if name != "ObjectCreated:PutTagging":
            self._sequencers[key] = time.time_ns()
        fields: dict[str, Any] = {"key": key, "sequencer": f"{self._sequencers.get(key, time.time_ns()):X}"}
        if "Created" in name:
            fields["eTag"] = etag
            if size:
                fields["size"] = size
        record = {"eventName": f"s3:{name}", "s3": {"bucket": {"name": self.bucket}, "object": fields}}
        with self._heard:
            self.events.append(record)
            if self.webhook is not None:
                self._queue.append(record)
            self._heard.notify_all()
        if self.at_once is not None:  # once; lost if it is not received
            self._sent(record, self.at_once)

    def waiting(self) -> int:
        """Events in the queue folder."""
        return len(self._queue)

    def hang_up(self) -> None:
        """End the connections of all listeners."""
        with self._heard:
            self._generation += 1
            self._heard.notify_all()

    def send(self) -> None:
        """The queue folder's timer."""
        while not self.over.wait(self.timer_s):
            while self._queue and self._sent(self._queue[0], self.webhook):
                del self._queue[0]

    def listen(self, ping: str | None, write: Any) -> None:
        """Send events to a listener until one side closes the connection. ``write`` sends bytes immediately."""
        every = int(ping) if ping else BLANK_S
        sign = b'{"Records":null}\n' if ping else b" "
        with self._heard:
            at, generation = len(self.events), self._generation
        held, last = b"", time.monotonic()
        while not self.over.is_set() and generation == self._generation:
            with self._heard:
                if at == len(self.events):
                    self._heard.wait(min(0.2, every))
                events, at = self.events[at:], len(self.events)
            for record in events:
                held += json.dumps({"Records": [record]}).encode() + b"\n"
            if time.monotonic() - last >= every:
                held, last = held + sign, time.monotonic()
            if self.listening == "deaf" or (self.listening == "buffered" and len(held) < BUFFER):
                continue
            if held:
                write(held)
                held = b""

    def _sent(self, record: dict[str, Any], target: str | None) -> bool:
        if target is None:
            return True
        fields = record["s3"]["object"]
        encoded = {**record, "s3": {**record["s3"], "object": {**fields, "key": quote_plus(fields["key"])}}}
        body = {"EventName": record["eventName"], "Key": f"{self.bucket}/{fields['key']}", "Records": [encoded]}
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(target, json.dumps(body).encode(), headers)
        try:
            with DIRECT.open(request, timeout=10) as answer:
                return bool(200 <= answer.status < 300)
        except OSError:
            return False


@contextmanager
def made_up_minio(upstream: str, bucket: str, **chosen: Any) -> Iterator[Server]:
    """The server on a free port of the loopback address, in front of the S3 server at ``upstream``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {}))
    server.daemon_threads = True
    state = Server(f"http://127.0.0.1:{server.server_port}", upstream, bucket, **chosen)
    server.state = state  # type: ignore[attr-defined]  # for the handler
    threads = [
        threading.Thread(target=lambda: server.serve_forever(poll_interval=0.05), daemon=True),
        threading.Thread(target=state.send, daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield state
    finally:
        state.over.set()
        server.shutdown()
        server.server_close()
        for thread in threads:
            thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    """Answers listeners; forwards all other requests to the server behind."""

    protocol_version = "HTTP/1.1"

    @property
    def _state(self) -> Server:
        return self.server.state  # type: ignore[attr-defined, no-any-return]  # as above

    def handle_any(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query, keep_blank_values=True)
        if self.command == "GET" and "events" in query:
            self._listener(query)
            return
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        behind = http.client.HTTPConnection(urlsplit(self._state.upstream).netloc, timeout=60)
        try:
            behind.request(self.command, self.path, body, dict(self.headers.items()))
            answer = behind.getresponse()
            data = answer.read()
        finally:
            behind.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", answer.getheader("content-length") or str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        if answer.status < 300:
            self._send_events(parts.path, query, answer, length)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 -- the names that http.server calls

    def _send_events(
        self, path: str, query: dict[str, list[str]], answer: http.client.HTTPResponse, size: int
    ) -> None:
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        if not key or bucket != self._state.bucket or "partNumber" in query:
            return
        etag = (answer.getheader("etag") or "").strip('"')
        match self.command, "tagging" in query:
            case "PUT", True:
                self._state.happened("ObjectCreated:PutTagging", key, etag)
            case "PUT", False:
                self._state.happened("ObjectCreated:Put", key, etag, size)
            case "DELETE", False:
                self._state.happened("ObjectRemoved:Delete", key)

    def _listener(self, query: dict[str, list[str]]) -> None:
        state = self._state
        state.listeners += 1
        ping = query.get("ping", [None])[0] if state.listening != "blanks" else None
        state.pings.append(query.get("ping", [None])[0])
        self.close_connection = True
        if state.refuses:
            self.send_response(state.refuses)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        begun = state.listening == "buffered"
        if begun:
            self._begin()

        def write(data: bytes) -> None:
            nonlocal begun
            if not begun:  # the first thing that is flushed takes the header with it
                begun = True
                self._begin()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()

        with contextlib.suppress(OSError):
            state.listen(ping, write)
            if begun:
                self.wfile.write(b"0\r\n\r\n")

    def _begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name that http.server uses
        """Log nothing."""
