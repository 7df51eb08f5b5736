"""The connection of the listen API: pieces as they are sent, refusals, and ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from minio import Minio
from urllib3.exceptions import ProtocolError

from tests.contract.events.listen_lines import line
from tests.unit.events.samples import BUCKET
from vectordb.errors import Permanent
from workers.events.listen_api import Dropped, connecting
from workers.events.listener import lines


class Bucket(BaseHTTPRequestHandler):
    """The listen API: sends the given chunks, then ends in one of three ways."""

    protocol_version = "HTTP/1.1"
    sends: tuple[bytes, ...] = ()
    end = "farewell"
    refuses: tuple[int, str] | None = None

    def do_GET(self) -> None:
        if self.refuses:
            status, code = self.refuses
            xml = f"<Error><Code>{code}</Code><Message>no</Message><Resource>/</Resource></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(xml)))
            self.end_headers()
            self.wfile.write(xml)
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for data in self.sends:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()
            time.sleep(0.02)  # each chunk arrives alone
        if self.end == "farewell":
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(handler: type[Bucket]) -> Iterator[Minio]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"127.0.0.1:{server.server_address[1]}"
        yield Minio(address, access_key="a", secret_key="b", secure=False, region="us-east-1")  # noqa: S106 -- nobody's
    finally:
        server.shutdown()
        server.server_close()


def test_pieces_come_as_they_are_sent_and_a_farewell_ends_them() -> None:
    class Talks(Bucket):
        sends = (b" ", line("a")[:30], line("a")[30:], b" ", line("b"))

    with serving(Talks) as client, connecting(client, BUCKET)() as chunks:
        assert [x.strip() for x in lines(chunks) if x.strip()] == [line("a").strip(), line("b").strip()]


def test_a_connection_that_breaks_is_transient() -> None:
    class Breaks(Bucket):
        sends = (line("a"),)
        end = "break"

    with serving(Breaks) as client:
        heard: list[bytes] = []
        with pytest.raises(Dropped) as caught, connecting(client, BUCKET)() as chunks:
            heard.extend(lines(chunks))
        assert line("a").strip() in heard
        assert isinstance(caught.value.__cause__, ProtocolError)


@pytest.mark.parametrize(
    ("refuses", "error"),
    [((403, "AccessDenied"), Permanent), ((404, "NoSuchBucket"), Permanent), ((501, "NotImplemented"), Permanent),
     ((409, "OperationAborted"), Dropped)],
)  # fmt: skip
def test_refusals_are_told_apart(refuses: tuple[int, str], error: type[Exception]) -> None:
    handler = type("Refuses", (Bucket,), {"refuses": refuses})
    with serving(handler) as client, pytest.raises(error, match=refuses[1]), connecting(client, BUCKET)():
        pass


def test_nobody_there_is_transient() -> None:
    with serving(Bucket) as client:
        pass
    client._http.connection_pool_kw["retries"] = False
    with pytest.raises(Dropped), connecting(client, BUCKET)():
        pass
