"""The small HTTP servers of a run: one each for webhooks, for notifications and in front of the store."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_POLL_S = 0.05
_END_S = 5.0


class Handler(BaseHTTPRequestHandler):
    """A handler that logs nothing."""

    def body(self) -> bytes:
        """The body of the request."""
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def finish_empty(self, status: int) -> None:
        """Answer with this status and no body."""
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name that http.server uses
        """Log nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that hang up are what happens here."""


@contextmanager
def serving(handler: type[Handler], state: object) -> Iterator[int]:
    """Serve on a free port of the loopback address, which is returned. ``state``: an attribute of each handler."""
    server = _Server(("127.0.0.1", 0), type("Stated", (handler,), {"state": state}))
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_S,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(_END_S)
