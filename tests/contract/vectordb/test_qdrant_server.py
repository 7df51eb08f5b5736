"""What goes to a Qdrant server over the wire, and what becomes of all that can come back."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import QdrantClient
from qdrant_client import grpc as messages

from tests.contract.qdrant_wire import Wire, collection, grpc_wire
from tests.contract.vectordb.qdrant_clients import OPTIONS, QUERY
from tests.contract.vectordb.qdrant_clients import client as client  # noqa: PLC0414 -- a fixture
from tests.contract.vectordb.qdrant_clients import server as server  # noqa: PLC0414 -- a fixture
from vectordb.captions import Caption
from vectordb.errors import Permanent
from vectordb.index import IndexFault, IndexLocked, IndexMissing
from vectordb.options import LARGE
from vectordb.server import ServerIndex
from vectordb.server_client import (
    BadAddress,
    KeyInTheClear,
    connect,
    is_local,
)


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
