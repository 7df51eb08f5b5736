"""An HTTP proxy in front of an S3 server, which answers wrongly in the ways that stores and networks do.

The server behind it is reached without it by those who put objects, so that only wildtag meets its faults.
"""

from __future__ import annotations

import http.client
import random
import re
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from ops.chaos.http_server import Handler, serving
from ops.chaos.old_versions import Answer, OldVersions

_HANGS_S = 120.0
_BEHIND_S = 60.0
_DROPPED = {"connection", "transfer-encoding", "content-length", "keep-alive", "server", "date"}
_ERROR = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>chaos</Message></Error>"
_ENTRY = re.compile(rb"<Contents>.*?</Contents>", re.DOTALL)


class Trouble(Enum):
    """What the store does.

    ``SOMETIMES``: every third request fails with one of the errors. ``OLD_OBJECTS``: for some seconds after a change,
    GET and HEAD answer what was there before, also 404.
    """

    NONE = "none"
    ERRORS = "500"
    SLOW_DOWN = "503"
    HANGS = "hangs"
    TRUNCATED = "truncated"
    WRONG_ETAG = "wrong etag"
    EXPIRED = "expired"
    LISTING_REPEATS = "listing repeats"
    LISTING_SKIPS = "listing skips"
    OLD_LISTING = "old listing"
    NO_BUCKET = "no bucket"
    EMPTY = "empty"
    SOMETIMES = "sometimes"
    OLD_OBJECTS = "old objects"


class StoreProxy:
    """The proxy, while it runs. ``trouble`` may be changed at any time."""

    def __init__(self, upstream: str, ca_file: Path | None = None) -> None:
        """``upstream``: a URL. ``ca_file``: the authorities that are believed if it is one of TLS."""
        self.upstream = upstream
        self._tls = ssl.create_default_context(cafile=ca_file) if urlsplit(upstream).scheme == "https" else None
        self.trouble = Trouble.NONE
        self.versions = OldVersions()
        self._listings: dict[str, bytes] = {}
        self._count = 0
        self._lock = threading.Lock()
        self.url = ""

    def connect(self) -> http.client.HTTPConnection:
        """A connection to the server behind it."""
        place = urlsplit(self.upstream).netloc
        if self._tls is None:
            return http.client.HTTPConnection(place, timeout=_BEHIND_S)
        return http.client.HTTPSConnection(place, timeout=_BEHIND_S, context=self._tls)

    def now(self) -> Trouble:
        """The trouble of this request."""
        if self.trouble is not Trouble.SOMETIMES:
            return self.trouble
        with self._lock:
            self._count += 1
            some: Sequence[Trouble] = (Trouble.ERRORS, Trouble.SLOW_DOWN, Trouble.TRUNCATED)
            return some[self._count // 3 % 3] if self._count % 3 == 0 else Trouble.NONE

    def listing(self, path: str, body: bytes, trouble: Trouble) -> bytes:
        """A page of a listing: as it is, with its last entry repeated, without one, or as it was first read."""
        if trouble is Trouble.NONE:
            self._listings[path] = body
        entries = _ENTRY.findall(body)
        if trouble is Trouble.EMPTY:
            return _ENTRY.sub(b"", body)
        if trouble is Trouble.OLD_LISTING:
            return self._listings.get(path, body)
        if entries and trouble is Trouble.LISTING_REPEATS:
            return body.replace(entries[-1], entries[-1] * 2)
        if entries and trouble is Trouble.LISTING_SKIPS:
            return body.replace(entries[len(entries) // 2], b"")
        return body


@contextmanager
def store_proxy(upstream: str, ca_file: Path | None = None) -> Iterator[StoreProxy]:
    """The proxy on a free port of the loopback address, in front of the server at ``upstream``; as ``StoreProxy``."""
    state = StoreProxy(upstream, ca_file)
    with serving(_Handler, state) as port:
        state.url = f"http://127.0.0.1:{port}"
        yield state


class _Handler(Handler):
    protocol_version = "HTTP/1.1"
    state: StoreProxy

    def handle_any(self) -> None:
        body = self.body()
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        if self.command == "GET" and "events" in query:
            self._listen()
            return
        trouble = self.state.now()
        if trouble is Trouble.HANGS:
            self._hang()
        elif trouble is Trouble.ERRORS:
            self._refuse(500, "InternalError")
        elif trouble is Trouble.SLOW_DOWN:
            self._refuse(503, "SlowDown")
        elif trouble is Trouble.EXPIRED:
            self._refuse(403, "ExpiredToken")
        elif trouble is Trouble.NO_BUCKET:
            self._refuse(404, "NoSuchBucket")
        elif trouble is Trouble.EMPTY and "list-type" not in query and self.command in {"GET", "HEAD"}:
            self._refuse(404, "NoSuchKey")
        else:
            self._forward(body, query, trouble)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 -- the names that http.server calls

    def _forward(self, body: bytes, query: dict[str, list[str]], trouble: Trouble) -> None:
        behind = self.state.connect()
        try:
            behind.request(self.command, self.path, body, dict(self.headers.items()))
            answer = behind.getresponse()
            status, data, headers = answer.status, answer.read(), answer.getheaders()
        except (OSError, http.client.HTTPException):
            self._refuse(502, "BadGateway")
            return
        finally:
            behind.close()
        if "list-type" in query and status == 200:
            data = self.state.listing(self.path, data, trouble)
        whole = (answer.getheader("content-length") or "0") if self.command == "HEAD" else str(len(data))
        if self._reads(query, status):
            current = Answer(status, headers, data if self.command == "GET" else None, whole)
            seen = self.state.versions.answer(self.path, current, late=trouble is Trouble.OLD_OBJECTS)
            if status == 200 and not seen.found:
                self._refuse(404, "NoSuchKey")
                return
            status, data, headers, whole = seen.status, seen.data or b"", list(seen.headers), seen.length
        cut = trouble is Trouble.TRUNCATED and self.command == "GET" and len(data) > 1
        self.send_response(status)
        for name, value in headers:
            if name.lower() == "etag" and trouble is Trouble.WRONG_ETAG:
                value = f'"{random.getrandbits(128):032x}"'  # noqa: PLW2901
            if name.lower() not in _DROPPED:
                self.send_header(name, value)
        self.send_header("Content-Length", whole)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if cut else data)
        if cut:
            self.close_connection = True

    def _reads(self, query: dict[str, list[str]], status: int) -> bool:
        """Whether this is an answer about a whole object."""
        key = self.path.strip("/").partition("/")[2]
        whole = self.command in {"GET", "HEAD"} and not query and "range" not in self.headers
        return whole and bool(key) and status in {200, 404}

    def _refuse(self, status: int, code: str) -> None:
        data = _ERROR.format(code=code).encode() if self.command != "HEAD" else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _hang(self) -> None:
        until = time.monotonic() + _HANGS_S
        while self.state.trouble is Trouble.HANGS and time.monotonic() < until:
            time.sleep(0.1)
        self.close_connection = True

    def _listen(self) -> None:
        """Pass a stream of events on as it comes."""
        self.close_connection = True
        if self.state.trouble in {Trouble.ERRORS, Trouble.SLOW_DOWN, Trouble.EXPIRED}:
            self._refuse(503, "SlowDown")
            return
        behind = self.state.connect()
        try:
            behind.request(self.command, self.path, headers=dict(self.headers.items()))
            answer = behind.getresponse()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.getheader("content-type") or "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            while data := answer.read1(4096):
                self.wfile.write(data)
                self.wfile.flush()
        except (OSError, http.client.HTTPException):
            return
        finally:
            behind.close()
