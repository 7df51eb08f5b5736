"""A receiver of webhooks on the loopback address: keeps what it was sent, and answers as a test wishes."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook


@dataclass(frozen=True)
class Request:
    """One POST."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        payload: dict[str, Any] = json.loads(self.body)
        return payload

    def verify(self, secret: str) -> None:
        """Raises when it is not signed with this secret."""
        Webhook(secret).verify(self.body, dict(self.headers))


@dataclass(frozen=True)
class Reply:
    """An answer. ``drips``: bytes of the body, each sent when the one before has been ``drip_s`` under way."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    drips: int = 0
    drip_s: float = 0.1


@dataclass
class Receiver:
    """``answer`` decides; it may also wait, since each request has a thread. ``stopped`` ends such waiting."""

    url: str = ""
    answer: Callable[[Request], Reply] = lambda _: Reply()
    seen: list[Request] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def ids(self) -> list[str]:
        """Of what came, in its order."""
        return [request.id for request in self.seen]

    def has_seen(self, count: int) -> bool:
        """So many POSTs came."""
        return len(self.seen) >= count

    def keys(self) -> list[str]:
        """The keys of the objects in the requests."""
        return [request.event["data"]["key"] for request in self.seen]


@contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver that runs."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            body = self.rfile.read(length)
            if len(body) < length:  # the sender was killed in the middle
                self.close_connection = True
                return
            request = Request({name.lower(): value for name, value in self.headers.items()}, body)
            receiver.seen.append(request)
            reply = receiver.answer(request)
            try:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(reply.drips or len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)
                for _ in range(reply.drips):
                    self.wfile.write(b".")
                    self.wfile.flush()
                    receiver.stopped.wait(reply.drip_s)
            except OSError:  # it waited no longer
                self.close_connection = True
                return
            if 200 <= reply.status < 300:
                receiver.taken.append(request.id)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            """A client that goes away is what tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
