"""Each answer of a Qdrant server has its error, by REST and by gRPC."""

from __future__ import annotations

import socket

import grpc  # type: ignore[import-untyped]  # its types are another package
import httpx
import pytest
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import ResponseHandlingException

from tests.contract.qdrant_wire import Wire, grpc_wire
from tests.contract.vectordb.qdrant_clients import OPTIONS, QUERY
from tests.contract.vectordb.qdrant_clients import client as client  # noqa: PLC0414 -- a fixture
from tests.contract.vectordb.qdrant_clients import server as server  # noqa: PLC0414 -- a fixture
from vectordb.errors import Transient, WildtagError
from vectordb.index import IndexExists, IndexFault, IndexMissing, WrongDimension
from vectordb.server import ServerIndex
from vectordb.server_client import (
    KeyRefused,
    ServerAway,
    ServerRefused,
    ask,
    connect,
)


@pytest.fixture
def nobody() -> int:
    """A port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@pytest.mark.parametrize(
    ("status", "text", "error", "tries"),
    [
        (500, "out of order", ServerAway, 3),
        (502, "out of order", ServerAway, 3),
        (503, "out of order", ServerAway, 3),
        (408, "too slow", ServerAway, 3),
        (429, "too many", ServerAway, 3),
        (401, "Must provide an API key", KeyRefused, 1),
        (403, "Forbidden", KeyRefused, 1),
        (404, "Not found: Collection `captions` doesn't exist!", IndexMissing, 1),
        (409, "Wrong input: Collection `captions` already exists!", IndexExists, 1),
        (400, "Wrong input: Vector dimension error: expected dim: 4, got 5", WrongDimension, 1),
        (400, "Format error in JSON body", ServerRefused, 1),
    ],
)
def test_every_answer_by_rest_has_its_error(
    server: Wire, client: QdrantClient, status: int, text: str, error: type[WildtagError], tries: int
) -> None:
    index = ServerIndex.open(client, "captions")
    server.fails(status, text)
    before = len(server.asked)
    with pytest.raises(error, match=text[-10:]) as raised:
        index.search(QUERY, 1)
    assert raised.value.__cause__ is not None
    assert len(server.asked) - before == tries


def test_a_server_that_says_when_to_come_back_is_away(server: Wire, client: QdrantClient) -> None:
    server.fails(429, "too many", retry_after="1")
    with pytest.raises(ServerAway, match="too many"):
        ServerIndex.open(client, "captions")


def test_a_server_that_comes_back_at_once_was_never_away() -> None:
    calls: list[int] = []

    def count() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise ServerAway
        return 7

    assert ask(count) == 7


def test_what_is_no_qdrant_server_is_refused(server: Wire, client: QdrantClient) -> None:
    server.says("POST", "/points/count", "hello")
    with pytest.raises(ServerRefused, match="not from a supported Qdrant server"):
        ServerIndex.open(client, "captions").count()


@pytest.mark.parametrize("by_grpc", [False, True])
def test_a_server_that_is_not_there_is_away(nobody: int, by_grpc: bool) -> None:
    client = connect(f"http://127.0.0.1:{nobody}", grpc=by_grpc, grpc_port=nobody)
    with pytest.raises(ServerAway, match=str(nobody)) as raised:
        ServerIndex.open(client, "captions")
    assert isinstance(raised.value, Transient)
    client.close()


def test_a_certificate_that_is_not_trusted_is_not_tried_again() -> None:
    tries: list[int] = []

    def call() -> None:
        tries.append(1)
        refused = httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed")
        raise ResponseHandlingException(refused)

    with pytest.raises(ServerRefused, match="not trusted"):
        ask(call)
    assert len(tries) == 1


def test_a_server_that_does_not_answer_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        client = connect(f"http://127.0.0.1:{port}", grpc=False, timeout_s=1)
        with pytest.raises(ServerAway, match="Timeout"):
            ServerIndex.open(client, "captions")
        client.close()


@pytest.mark.parametrize("by_grpc", [False, True])
def test_a_closed_client_is_a_fault(server: Wire, by_grpc: bool) -> None:
    client = connect(server.url, grpc=by_grpc)
    client.close()
    with pytest.raises(IndexFault, match="closed"):
        ServerIndex.open(client, "captions")
    local = connect(":memory:")
    local.close()
    with pytest.raises(IndexFault, match="closed"):
        ServerIndex.open(local, "captions")


@pytest.mark.parametrize(
    ("code", "text", "error", "tries"),
    [
        ("UNAVAILABLE", "going down", ServerAway, 3),
        ("DEADLINE_EXCEEDED", "too slow", ServerAway, 3),
        ("RESOURCE_EXHAUSTED", "too many", ServerAway, 3),
        ("INTERNAL", "out of order", ServerAway, 3),
        ("UNAUTHENTICATED", "Invalid API key or JWT", KeyRefused, 1),
        ("PERMISSION_DENIED", "read only", KeyRefused, 1),
        ("NOT_FOUND", "Collection `captions` doesn't exist!", IndexMissing, 1),
        ("ALREADY_EXISTS", "Collection `captions` already exists!", IndexExists, 1),
        ("INVALID_ARGUMENT", "Wrong input: Vector dimension error: expected dim: 4, got 5", WrongDimension, 1),
        ("INVALID_ARGUMENT", "Wrong input: no", ServerRefused, 1),
        ("UNIMPLEMENTED", "an old server", ServerRefused, 1),
    ],
)
def test_every_answer_by_grpc_has_its_error(code: str, text: str, error: type[WildtagError], tries: int) -> None:
    keys: list[str] = []

    def refuse(_: str, __: object, context: grpc.ServicerContext) -> None:
        keys.extend(value for key, value in context.invocation_metadata() if key == "api-key")
        context.abort(grpc.StatusCode[code], text)

    with grpc_wire(refuse) as port:
        client = connect("http://127.0.0.1:6333", api_key="open sesame", grpc_port=port)
        with pytest.raises(error, match=text[-8:]) as raised:
            ServerIndex(client, "captions", 4, OPTIONS).count()
        client.close()
    assert raised.value.__cause__ is not None
    assert "sesame" not in str(raised.value)
    assert keys == ["open sesame"] * tries
