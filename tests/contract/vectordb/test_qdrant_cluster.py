"""A cluster of several addresses: whichever node is away, captions are searched, taught and built at the others."""

from __future__ import annotations

import socket
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]  # its types are another package
import pytest
from qdrant_client import QdrantClient
from qdrant_client import grpc as messages

from tests.contract.homes import DIMENSION, vectors
from tests.contract.qdrant_cluster import MadeUpNode, Mood, addresses, cluster
from tests.contract.qdrant_wire import grpc_wire
from tests.contract.vectordb.library_samples import CAPTIONS, build, manifest
from vectordb.captions import Caption
from vectordb.index import IndexMissing
from vectordb.options import IndexOptions
from vectordb.server import ServerIndex
from vectordb.server_client import KeyInTheClear, ServerAway, connect
from vectordb.server_library import ServerLibrary

AWAY = [Mood.REFUSES, Mood.SWALLOWS, Mood.FAILS, Mood.BREAKS_OFF]
SLOW = pytest.param(Mood.SWALLOWS, marks=pytest.mark.long)  # each request takes the whole timeout


@pytest.fixture
def nodes() -> Iterator[list[MadeUpNode]]:
    with cluster() as there:
        yield there


@pytest.fixture
def client(nodes: list[MadeUpNode]) -> Iterator[QdrantClient]:
    client = connect(addresses(nodes), grpc=False)
    yield client
    client.close()


@pytest.fixture
def library(client: QdrantClient, tmp_path: Path) -> ServerLibrary:
    return ServerLibrary(client, tmp_path / "scratch", IndexOptions(shards=3, replicas=2))


def found(index: ServerIndex, caption: Caption) -> bool:
    (best,) = index.search(vectors([caption]), 1)
    return best.captions == (caption,)


@pytest.mark.parametrize("mood", [Mood.REFUSES, SLOW, Mood.FAILS, Mood.BREAKS_OFF])
def test_whichever_node_goes_captions_are_searched_and_taught(
    library: ServerLibrary, nodes: list[MadeUpNode], mood: Mood
) -> None:
    build(library)
    index = library.open("mini", "starter@v1")
    taught = [Caption.of(f"taught {number}") for number in range(3)]
    for node, caption in zip(nodes, taught, strict=True):
        node.mood = mood
        begin = time.monotonic()
        assert found(index, CAPTIONS[3])
        index.add([caption], vectors([caption]))
        assert found(index, caption)
        assert time.monotonic() - begin < 6, "less than the time that one answer may take"
        node.mood = Mood.FINE
    assert index.count() == len(CAPTIONS) + 3
    index.remove([taught[0].id])
    assert index.count() == len(CAPTIONS) + 2


def test_a_node_that_swallows_requests_costs_its_patience_once(
    library: ServerLibrary, nodes: list[MadeUpNode]
) -> None:
    build(library)
    index = library.open("mini", "starter@v1")
    nodes[0].mood = Mood.SWALLOWS
    took = []
    for caption in CAPTIONS[:5]:
        begin = time.monotonic()
        assert found(index, caption)
        took.append(time.monotonic() - begin)
    assert took[0] < 6
    assert max(took[1:]) < 1


def test_a_busy_node_is_waited_for(nodes: list[MadeUpNode], library: ServerLibrary) -> None:
    build(library)
    index = library.open("mini", "starter@v1")
    answer = nodes[0].answer

    def slow(method: str, path: str, body: Any) -> tuple[int, object]:
        if path.endswith("/query/batch"):
            time.sleep(3)  # longer than the client waits
        return answer(method, path, body)

    nodes[0].answer = slow  # type: ignore[method-assign]  # the node that the rest of this test asks
    before = len(nodes[1].calls) + len(nodes[2].calls)
    assert found(index, CAPTIONS[0])
    assert len(nodes[1].calls) + len(nodes[2].calls) == before


def test_who_works_is_kept_to_and_the_first_one_is_not_gone_back_to(
    library: ServerLibrary, nodes: list[MadeUpNode]
) -> None:
    build(library)
    index = library.open("mini", "starter@v1")
    # what the first one lacks the others are asked for, too: a leftover of an earlier build, to be removed
    asked = [method for node in nodes[1:] for method, _ in node.calls if method != "DELETE"]
    assert not asked, "the first of the list, while it answers"
    nodes[0].mood = Mood.REFUSES
    assert found(index, CAPTIONS[0])
    nodes[0].mood = Mood.FINE
    before = len(nodes[0].calls)
    assert found(index, CAPTIONS[0])
    assert len(nodes[0].calls) == before
    nodes[1].mood = nodes[2].mood = Mood.REFUSES
    assert found(index, CAPTIONS[0])
    assert len(nodes[0].calls) > before


@pytest.mark.parametrize("mood", [Mood.REFUSES, SLOW, Mood.FAILS])
def test_where_all_are_away_it_is_said_of_all_and_right_again_afterwards(
    library: ServerLibrary, nodes: list[MadeUpNode], mood: Mood
) -> None:
    build(library)
    index = library.open("mini", "starter@v1")
    for node in nodes:
        node.mood = mood
    begin = time.monotonic()
    with pytest.raises(ServerAway):
        found(index, CAPTIONS[0])
    assert time.monotonic() - begin < 18, "not three times the timeout of each"
    nodes[2].mood = Mood.FINE
    assert found(index, CAPTIONS[0])


def test_a_node_that_has_not_caught_up_is_not_believed_about_what_it_lacks(
    library: ServerLibrary, nodes: list[MadeUpNode]
) -> None:
    build(library)
    for node in nodes:
        node.lacks = {"wildtag-"}
    nodes[0].mood = Mood.UNREADY
    assert library.find("mini", "starter@v1") is not None
    nodes[1].mood = Mood.REFUSES  # the next one: the third is turned to, not the first
    assert found(library.open("mini", "starter@v1"), CAPTIONS[0])


def test_who_lacks_it_where_others_are_away_is_not_believed_either(
    library: ServerLibrary, nodes: list[MadeUpNode]
) -> None:
    build(library)
    index = library.open("mini", "starter@v1")
    nodes[0].lacks = {"wildtag-"}
    nodes[0].mood, nodes[1].mood, nodes[2].mood = Mood.UNREADY, Mood.REFUSES, Mood.REFUSES
    with pytest.raises(ServerAway):
        index.count()
    nodes[1].mood = Mood.FINE
    assert index.count() == len(CAPTIONS)


def test_what_is_nowhere_is_missing(library: ServerLibrary, nodes: list[MadeUpNode]) -> None:
    assert library.find("mini", "starter@v1") is None
    build(library)
    index = library.open("mini", "starter@v1")
    library.drop("mini", "starter@v1")
    with pytest.raises(IndexMissing):
        index.count()
    nodes[2].mood = Mood.REFUSES  # one that is ready lacks it, and nobody who is there has it
    with pytest.raises(IndexMissing):
        index.count()


def test_a_node_that_lacks_what_others_have_is_not_believed(library: ServerLibrary, nodes: list[MadeUpNode]) -> None:
    """However ready it says it is: `/readyz` of a node that was cut off from the others stays as it was."""
    build(library)
    nodes[0].lacks, nodes[0].mood = {"wildtag-"}, Mood.FORGETS
    assert library.find("mini", "starter@v1") is not None
    assert found(library.open("mini", "starter@v1"), CAPTIONS[0])


@pytest.mark.parametrize("mood", [Mood.REFUSES, Mood.SWALLOWS, Mood.FAILS, Mood.UNREADY])
def test_a_collection_is_made_once_at_a_node_that_is_there(
    library: ServerLibrary, nodes: list[MadeUpNode], mood: Mood
) -> None:
    nodes[0].mood = mood
    build(library)
    made = [path for node in nodes for method, path in node.calls if method == "PUT" and path.count("/") == 2]
    assert len(made) == len(set(made)) == 2, "the registry, and the version"
    library.use("mini", "starter@v1")
    nodes[0].mood = Mood.FINE
    assert library.active("mini") == "starter@v1"


def test_a_build_goes_on_while_nodes_go_and_come_back(library: ServerLibrary, nodes: list[MadeUpNode]) -> None:
    stop = threading.Event()

    def trouble() -> None:
        place = 0
        while not stop.wait(0.2):
            nodes[place % 3].mood = Mood.FINE
            place += 1
            nodes[place % 3].mood = AWAY[place % len(AWAY)]

    many = [Caption.of(f"caption {number}") for number in range(1500)]
    with library.building("mini", "starter@v1", DIMENSION) as building:
        troubling = threading.Thread(target=trouble)
        troubling.start()
        try:
            for start in range(0, len(many), 100):
                building.index.add(many[start : start + 100], vectors(many[start : start + 100]))
        finally:
            stop.set()
            troubling.join()
            for node in nodes:
                node.mood = Mood.FINE
        building.finish(manifest(count=len(many)))
    index = library.open("mini", "starter@v1")
    assert index.count() == len(many)
    assert {caption.id for page, _ in index.pages() for caption in page} == {caption.id for caption in many}


def test_the_same_by_grpc() -> None:
    """Nodes that answer, answer that they are away, or are not there; each has a port of its own for gRPC."""
    counted = messages.CountResponse(result=messages.CountResult(count=7))
    asked: list[str] = []

    def node(name: str, code: grpc.StatusCode | None) -> Any:
        def answer(_: str, __: object, context: grpc.ServicerContext) -> object:
            asked.append(name)
            if code is not None:
                context.abort(code, "out of order")
            return counted

        return answer

    with ExitStack() as stack, cluster(3) as rest:
        bad = stack.enter_context(grpc_wire(node("first", grpc.StatusCode.UNAVAILABLE)))
        good = stack.enter_context(grpc_wire(node("third", None)))
        rest[1].mood = Mood.REFUSES
        client = connect(addresses(rest), grpc_port=[bad, 1, good])
        index = ServerIndex(client, "captions", 4, IndexOptions())
        assert [index.count(), index.count()] == [7, 7]
        client.close()
    assert asked == ["first", "third", "third"]


def test_a_node_that_swallows_what_comes_by_grpc_is_left_within_seconds() -> None:
    counted = messages.CountResponse(result=messages.CountResult(count=7))
    with ExitStack() as stack, cluster(2) as rest:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))  # connected to, and never answered
        good = stack.enter_context(grpc_wire(lambda *_: counted))
        rest[0].mood = Mood.SWALLOWS
        client = connect(addresses(rest), grpc_port=[silent.getsockname()[1], good])
        index = ServerIndex(client, "captions", 4, IndexOptions())
        begin = time.monotonic()
        assert index.count() == 7
        assert time.monotonic() - begin < 15  # 4 on an idle machine, and 20 if the timeout of a request ended it
        begin = time.monotonic()
        assert index.count() == 7
        assert time.monotonic() - begin < 1
        client.close()


def test_a_port_of_zero_is_rest_for_that_address(nodes: list[MadeUpNode], tmp_path: Path) -> None:
    client = connect(addresses(nodes), grpc_port=[0, 0, 0])
    build(ServerLibrary(client, tmp_path))
    client.close()
    assert nodes[0].calls


def test_a_key_in_the_clear_is_said_once_for_all_addresses_or_allowed() -> None:
    three = "http://one.example,https://two.example,http://three.example:1"
    with pytest.warns(KeyInTheClear, match=r"to one\.example, three\.example;.*ALLOW_PLAINTEXT") as seen:
        connect(three, api_key="open sesame").close()
    assert len(seen) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        connect(three, api_key="open sesame", allow_plaintext=True).close()
        connect("http://127.0.0.1:1,http://localhost:2,http://[::1]:3", api_key="open sesame").close()
