"""S3 servers for tests: stores on one, and a fake one with prepared responses. ``ops.bench.moto_server`` has moto."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.contract.real_servers import key_pair
from workers.stores.s3 import S3Store
from workers.stores.s3_connection import S3Connection, S3Options


def store_at(endpoint: str, *followed: str, **options: object) -> S3Store:
    """A store on a server, with the credentials that it takes unless others are given."""
    access_key, secret_key = key_pair(endpoint)
    given = {"access_key": access_key, "secret_key": secret_key, "public_endpoint": endpoint, **options}
    return S3Store(S3Connection(S3Options(endpoint, region="us-east-1", **given)), followed)  # type: ignore[arg-type]  # a test names what it gives


def refusal(code: str, message: str = "because") -> bytes:
    """The body of an S3 error."""
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


@dataclass
class Answer:
    """What the made-up server says. ``promised``: the length that it announces; ``None``: it announces none."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    promised: int | None = -1


@dataclass
class FakeS3:
    """``answer`` is asked for every request, by its method and path; ``asked`` keeps them, and ``body`` the last."""

    url: str
    answer: Callable[[str, str], Answer]
    asked: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    connections: int = 0


@contextmanager
def made_up(answer: Callable[[str, str], Answer], tls: ssl.SSLContext | None = None) -> Iterator[FakeS3]:
    """The server, on a free port of the loopback interface."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            state.connections += 1
            super().setup()

        def handle_any(self) -> None:
            state.body = self.rfile.read(int(self.headers.get("content-length") or 0))
            state.asked.append((self.command, self.path))
            said = state.answer(self.command, self.path)
            self.send_response(said.status)
            for name, value in {"Content-Type": "application/xml", **said.headers}.items():
                self.send_header(name, value)
            if said.promised is None:
                self.close_connection = True
            else:
                self.close_connection = said.promised not in {-1, len(said.body)}
                self.send_header("Content-Length", str(len(said.body) if said.promised < 0 else said.promised))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(said.body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 -- the names that http.server calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name that http.server uses
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    state = FakeS3(f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}", answer)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
