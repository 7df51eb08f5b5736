"""What goes to a Qdrant server over the wire, and what becomes of all that can come back."""

from __future__ import annotations

import socket
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]  # its types are another package
import httpx
import numpy as np
import pytest
from qdrant_client import QdrantClient
from qdrant_client import grpc as messages
from qdrant_client.http.exceptions import ResponseHandlingException

from tests.contract.qdrant_wire import Wire, collection, grpc_wire, wire
from vectordb.captions import Caption
from vectordb.errors import Permanent, Transient, WildtagError
from vectordb.index import IndexExists, IndexFault, IndexLocked, IndexMissing, WrongDimension
from vectordb.options import LARGE, IndexOptions
from vectordb.server import ServerIndex
from vectordb.server_client import (
    BadAddress,
    KeyInTheClear,
    KeyRefused,
    ServerAway,
    ServerRefused,
    ask,
    connect,
    is_local,
)

OPTIONS = IndexOptions(m=24, ef_construct=99, ef=77, oversampling=3.0, shards=3, replicas=2)
QUERY = np.eye(4, dtype=np.float32)


@pytest.fixture
def server() -> Iterator[Wire]:
    with wire() as running:
        running.says("GET", "/collections/captions", collection(4))
        running.says("POST", "/points/count", {"count": 5})
        yield running


@pytest.fixture
def client(server: Wire) -> Iterator[QdrantClient]:
    client = connect(server.url, grpc=False)
    yield client
    client.close()


@pytest.fixture
def nobody() -> int:
    """A port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def test_a_new_collection_has_the_options_and_no_graph_yet(server: Wire, client: QdrantClient) -> None:
    ServerIndex.create(client, "captions", 4, replace(OPTIONS, on_disk=True))
    (created,) = server.bodies("PUT", "/collections/captions")
    assert created["vectors"] == {"size": 4, "distance": "Cosine", "on_disk": True}
    assert (created["shard_number"], created["replication_factor"]) == (3, 2)
    assert created["hnsw_config"] == {"m": 24, "ef_construct": 99}
    assert created["optimizers_config"] == {"indexing_threshold": 0}
    (index,) = server.bodies("PUT", "/collections/captions/index")
    assert index == {"field_name": "extra.source", "field_schema": "keyword"}


@pytest.mark.parametrize(("count", "large"), [(LARGE - 1, False), (LARGE, True)])
def test_optimising_decides_by_the_count_and_switches_the_graph_on(
    server: Wire, client: QdrantClient, count: int, large: bool
) -> None:
    server.says("POST", "/points/count", {"count": count})
    ServerIndex.open(client, "captions", OPTIONS).optimize()
    (update,) = server.bodies("PATCH", "/collections/captions")
    assert update["vectors"] == {"": {"on_disk": large}}
    assert update["hnsw_config"] == {"m": 24, "ef_construct": 99}
    assert update["optimizers_config"]["indexing_threshold"] > 0
    codes = update["quantization_config"]
    assert codes == ({"scalar": {"type": "int8", "quantile": 0.99, "always_ram": True}} if large else "Disabled")


def test_what_was_decided_for_it_is_not_decided_by_the_count(server: Wire, client: QdrantClient) -> None:
    ServerIndex.open(client, "captions", replace(OPTIONS, quantised=True, on_disk=True)).optimize()
    (update,) = server.bodies("PATCH", "/collections/captions")
    assert update["vectors"] == {"": {"on_disk": True}}
    assert update["quantization_config"]["scalar"]["type"] == "int8"


def test_optimising_waits_until_the_server_has_nothing_left_to_do(server: Wire, client: QdrantClient) -> None:
    index = ServerIndex.open(client, "captions")
    course = [collection(4, status) for status in ("green", "yellow", "grey", "yellow", "green", "green")]
    server.says("GET", "/collections/captions", *course, collection(4, "red"))
    index.optimize()
    assert len(server.bodies("GET", "/collections/captions")) == 1 + 6
    assert len(server.bodies("PATCH", "/collections/captions")) == 2  # grey wants to be woken
    failed = collection(4, "red", optimizer_status={"error": "no space left"})
    server.says("GET", "/collections/captions", failed)
    with pytest.raises(IndexFault, match="no space left"):
        index.optimize()


def test_a_batch_is_one_request_with_the_options_of_a_search(server: Wire, client: QdrantClient) -> None:
    points = [
        {"id": 2, "version": 0, "score": 0.5, "payload": {"text": "b", "extra": {}}, "vector": [0, 1, 0, 0]},
        {"id": 1, "version": 0, "score": 0.5, "payload": {"text": "a", "extra": {"n": 1}}, "vector": [1, 0, 0, 0]},
    ]
    server.says("POST", "/points/query/batch", [{"points": points}, {"points": []}])
    first, second = ServerIndex.open(client, "captions", OPTIONS).search(QUERY[:2], 10)
    assert first.captions == (Caption(1, "a", {"n": 1}), Caption(2, "b"))
    np.testing.assert_array_equal(first.vectors, QUERY[:2])
    assert second.captions == ()
    (asked,) = server.bodies("POST", "/points/query/batch")
    assert [search["query"]["nearest"] for search in asked["searches"]] == QUERY[:2].tolist()
    for search in asked["searches"]:
        assert search["params"] == {"hnsw_ef": 77, "quantization": {"rescore": True, "oversampling": 3.0}}
        assert (search["limit"], search["with_vector"], search["with_payload"]) == (10, True, True)


def test_captions_are_sent_in_pieces_and_waited_for(server: Wire, client: QdrantClient) -> None:
    captions = [Caption(number, str(number)) for number in range(600)]
    ServerIndex.open(client, "captions").add(captions, np.ones((600, 4), np.float32))
    sent = server.bodies("PUT", "/points")
    assert [len(body["points"]) for body in sent] == [256, 256, 88]
    assert sent[0]["points"][3] == {"id": 3, "vector": [0.5] * 4, "payload": {"text": "3", "extra": {}}}


def test_what_cannot_be_stored_is_not_sent(server: Wire, client: QdrantClient) -> None:
    index = ServerIndex.open(client, "captions")
    before = len(server.asked)
    for wrong in (np.ones((1, 5), np.float32), np.zeros((1, 4), np.float32)):
        with pytest.raises(Permanent):
            index.add([Caption(1, "a")], wrong)
        with pytest.raises(Permanent):
            index.search(wrong, 1)
    index.add([], np.empty((0, 4), np.float32))
    index.remove([])
    assert index.get([]) == []
    assert len(server.asked) == before


def test_the_size_is_estimated_over_all_replicas(client: QdrantClient) -> None:
    index = ServerIndex.open(client, "captions")
    assert 2 * 5 * (4 * 4 + 16 * 8) <= index.size() <= 2 * 5 * 1000


def test_a_collection_of_something_else_is_no_index(server: Wire, client: QdrantClient) -> None:
    other = collection(4)
    other["config"]["params"]["vectors"] = {"image": {"size": 4, "distance": "Cosine"}}  # type: ignore[index]  # JSON
    server.says("GET", "/collections/captions", other)
    with pytest.raises(IndexMissing, match="captions"):
        ServerIndex.open(client, "captions")


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


def test_the_same_goes_over_the_wire_by_grpc() -> None:
    asked: dict[str, Any] = {}
    done = messages.PointsOperationResponse(result=messages.UpdateResult(status=messages.UpdateStatus.Completed))
    config = messages.CollectionConfig(
        hnsw_config=messages.HnswConfigDiff(m=24, ef_construct=99, full_scan_threshold=10_000),
        optimizer_config=messages.OptimizersConfigDiff(
            deleted_threshold=0.2, vacuum_min_vector_number=1000, default_segment_number=0, flush_interval_sec=5
        ),
        params=messages.CollectionParams(shard_number=3),
        wal_config=messages.WalConfigDiff(wal_capacity_mb=32, wal_segments_ahead=0),
    )
    green = messages.CollectionInfo(
        status=messages.CollectionStatus.Green,
        optimizer_status=messages.OptimizerStatus(ok=True),
        segments_count=1,
        config=config,
    )
    answers = {
        "Collections.Create": messages.CollectionOperationResponse(result=True),
        "Collections.Update": messages.CollectionOperationResponse(result=True),
        "Collections.Get": messages.GetCollectionInfoResponse(result=green),
        "Points.Count": messages.CountResponse(result=messages.CountResult(count=LARGE)),
        "Points.CreateFieldIndex": done,
        "Points.Upsert": done,
        "Points.QueryBatch": messages.QueryBatchResponse(result=[messages.BatchResult()]),
    }

    def answer(method: str, request: object, _: object) -> object:
        asked[method] = request
        return answers[method]

    with grpc_wire(answer) as port:
        client = connect("http://127.0.0.1:6333", grpc_port=port)
        index = ServerIndex.create(client, "captions", 4, OPTIONS)
        index.add([Caption(2**64 - 1, "the last", {"deep": {"list": [1, None]}})], QUERY[:1])
        index.search(QUERY[:1], 10)
        index.optimize()
        client.close()
    created, update = asked["Collections.Create"], asked["Collections.Update"]
    assert (created.vectors_config.params.size, created.shard_number, created.replication_factor) == (4, 3, 2)
    assert (created.hnsw_config.m, created.hnsw_config.ef_construct) == (24, 99)
    assert created.optimizers_config.HasField("indexing_threshold")
    assert created.optimizers_config.indexing_threshold == 0
    assert asked["Points.CreateFieldIndex"].field_name == "extra.source"
    assert asked["Points.Upsert"].points[0].id.num == 2**64 - 1
    assert asked["Points.Upsert"].wait
    (search,) = asked["Points.QueryBatch"].query_points
    assert (search.params.hnsw_ef, search.params.quantization.oversampling, search.limit) == (77, 3.0, 10)
    assert update.vectors_config.params.on_disk
    assert update.quantization_config.scalar.always_ram
    assert update.optimizers_config.indexing_threshold > 0


def test_a_key_goes_with_each_request_and_in_the_clear_only_with_a_warning(server: Wire) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client = connect(server.url, api_key="open sesame", grpc=False)  # loopback: nobody is on the way
        ServerIndex.open(client, "captions")
        assert {name.lower(): value for name, value in server.asked[-1][3].items()}["api-key"] == "open sesame"
        connect("https://qdrant.example", api_key="open sesame").close()
        client.close()
    with pytest.warns(KeyInTheClear, match=r"qdrant\.example") as seen:
        connect("http://qdrant.example:6333", api_key="open sesame").close()
    assert len(seen) == 1


@pytest.mark.parametrize(
    "address",
    ["", "ftp://qdrant", "http://", "localhost", "localhost:6333", "qdrant:6333", "qdrant://x", "10.0.0.1:1/a"],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(BadAddress, match="an example is http"):
        connect(address)


def test_certificates_must_be_readable(tmp_path: Path) -> None:
    (tmp_path / "notes.pem").write_text("not a certificate")
    for file in (tmp_path / "notes.pem", tmp_path / "nowhere.pem"):
        with pytest.raises(BadAddress, match=file.name):
            connect("https://qdrant.example", ca_file=file)


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    first = connect(str(tmp_path / "database"))
    assert is_local(first)
    with pytest.raises(IndexLocked, match="already open"):
        connect(str(tmp_path / "database"))
    first.close()
    connect(str(tmp_path / "database")).close()
