"""Captions that another process owns answer as if they were here, and so does its encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import msgspec
import numpy as np
import pytest

from tasks.encoders.protocols import Space
from tasks.extraction.phrases import Phrases
from tasks.ingestion import Ingesting, ingest
from vectordb.captions import Caption
from vectordb.errors import Transient
from vectordb.exact import ExactIndex
from vectordb.index import CaptionIndex, Floats, IndexMissing
from vectordb.library import Library
from workers.broker.publisher import Publisher
from workers.captions.remote_index import ENCODE, RemoteEncoder, RemoteIndex, answer
from workers.captions.remote_index import TASK as CAPTIONS
from workers.captions.teaching import EmptyCaption
from workers.captions.versions import OpenIndexes
from workers.images import image_requests
from workers.images.archive import TASK, Archive
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.redis.rpc import RpcClient, RpcFailed, RpcPermanent, RpcTimeout, RpcTransient, answering

SPACE = Space("mini", 16, 10.0)


@dataclass
class Shelf:
    """A ``Library`` with one version, of which ``open`` counts the openings."""

    index: ExactIndex
    opened: int = 0
    fault: Exception | None = None

    def open(self, space_id: str, captions_version: str) -> CaptionIndex:
        if self.fault:
            raise self.fault
        assert (space_id, captions_version) == ("mini", "words@1")
        self.opened += 1
        return self.index


class Encoder:
    space = SPACE

    def encode(self, texts: Sequence[str]) -> Floats:
        rows = [np.random.default_rng(list(text.encode())).normal(size=16) for text in texts]
        return np.array(rows, dtype=np.float32)


@dataclass
class Worker:
    """Does at once what a worker would do when the message reaches it; nothing while it is ``away``."""

    client: Client
    keys: Keys
    indexes: OpenIndexes
    archive: Archive | None = None
    away: bool = False
    labels: list[str] = field(default_factory=list)

    def ask(self, queue: str, task: str, request: str, data: bytes, label: str, lifetime: float) -> None:
        assert lifetime > 0
        self.labels.append(f"{queue}: {label.removesuffix(f' {request})')[1:]}")
        if self.away:
            return
        if task == ENCODE:
            answering(self.client, self.keys, request,
                      lambda: ingest(Ingesting.decode(data), Encoder(), Phrases()).encode())  # fmt: skip
        elif task == TASK:
            archive = self.archive
            assert archive is not None
            archive.step(data.decode())
        elif task == image_requests.TASK:
            answering(self.client, self.keys, request, lambda: msgspec.msgpack.encode([]))
        elif task == CAPTIONS:
            answering(self.client, self.keys, request, lambda: answer(self.indexes, data))
        else:
            answering(self.client, self.keys, request, nobody)


def nobody() -> bytes:
    """What needs a worker that is not there."""
    raise Transient("no worker does this here")


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(ExactIndex(16))


@pytest.fixture
def worker(client: Client, keys: Keys, shelf: Shelf) -> Worker:
    return Worker(client, keys, OpenIndexes(cast("Library", shelf), "mini"))


@pytest.fixture
def rpc(client: Client, keys: Keys, worker: Worker) -> RpcClient:
    return RpcClient(cast("Publisher", worker), client, keys)


def captions(count: int) -> tuple[list[Caption], Floats]:
    texts = [f"caption number {number}" for number in range(count)]
    return [Caption.of(text, n=at) for at, text in enumerate(texts)], Encoder().encode(texts)


def test_everything_that_is_asked_is_answered_as_here(rpc: RpcClient, shelf: Shelf) -> None:
    remote, here = RemoteIndex(rpc, "words@1", 16), shelf.index
    put, rows = captions(2500)
    remote.add(put[:2000], rows[:2000])
    remote.add([*put[2000:], Caption(2**64 - 1, "the last id", {"source": "me"})], np.vstack([rows[2000:], rows[:1]]))
    assert remote.count() == here.count() == 2501
    for ours, theirs in zip(remote.search(rows[:3], 7), here.search(rows[:3], 7), strict=True):
        assert ours.captions == theirs.captions
        np.testing.assert_array_equal(ours.similarities, theirs.similarities)
        np.testing.assert_array_equal(ours.vectors, theirs.vectors)
    assert remote.search(np.empty((0, 16), dtype=np.float32), 5) == []
    assert remote.get([put[5].id, 17]) == [put[5]]
    pages = list(remote.pages())
    assert [len(page) for page, _ in pages] == [1024, 1024, 453]
    assert [caption for page, _ in pages for caption in page] == [c for page, _ in here.pages() for c in page]
    assert [page for page, _ in remote.pages("me")] == [[Caption(2**64 - 1, "the last id", {"source": "me"})]]
    assert next(remote.pages(taught=True))[0] == [Caption(2**64 - 1, "the last id", {"source": "me"})]
    remote.remove([put[5].id])
    assert here.get([put[5].id]) == []
    assert shelf.opened == 1


def test_the_owner_lets_go_and_opens_again_when_it_is_asked(rpc: RpcClient, shelf: Shelf) -> None:
    remote = RemoteIndex(rpc, "words@1", 16)
    remote.count()
    remote.release()
    remote.release()
    remote.count()
    assert shelf.opened == 2


def test_errors_keep_what_follows_from_them_and_their_text(rpc: RpcClient, shelf: Shelf) -> None:
    remote = RemoteIndex(rpc, "words@1", 16)
    shelf.fault = IndexMissing("no such captions")
    with pytest.raises(RpcTransient, match="no such captions") as lost:
        remote.count()
    assert (lost.value.service, lost.value.kind) == ("captions", "IndexMissing")
    shelf.fault = EmptyCaption("no text")
    with pytest.raises(RpcPermanent, match="no text"):
        remote.count()
    shelf.fault = Transient("locked for now")
    with pytest.raises(RpcTransient, match="locked for now"):
        remote.count()
    shelf.fault = ZeroDivisionError("a bug")
    with pytest.raises(RpcFailed, match="ZeroDivisionError: a bug"):
        remote.count()


def test_texts_are_encoded_elsewhere(rpc: RpcClient, worker: Worker) -> None:
    vectors = RemoteEncoder(rpc, SPACE).encode(["a cup", "a jug"])
    np.testing.assert_array_equal(vectors, Encoder().encode(["a cup", "a jug"]))
    assert worker.labels == ["scoring: encode"]
    with pytest.raises(RpcPermanent, match="for space clip"):
        RemoteEncoder(rpc, Space("clip", 16, 10.0)).encode(["a cup"])


def test_nobody_answers(rpc: RpcClient, worker: Worker, client: Client) -> None:
    worker.away = True
    with pytest.raises(RpcTimeout, match="queue retrieval"):
        rpc.ask("retrieval", "wildtag.captions", b"", "count", patience_s=1)
    assert list(client.scan_iter()) == []


def test_a_question_whose_worker_was_killed_is_asked_again(
    rpc: RpcClient, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.redis.rpc.RETRY_S", 0.2)
    worker.away = True
    send, sent = rpc.send, list[str]()

    def sends(*question: object) -> str:
        worker.away = not sent  # the second one is heard
        sent.append("")
        return send(*question)  # type: ignore[arg-type]  # handed on as it comes

    monkeypatch.setattr(rpc, "send", sends)
    assert RemoteIndex(rpc, "words@1", 16).count() == 0
    assert len(sent) == 2


def test_answers_nobody_takes_do_not_stay(rpc: RpcClient, client: Client, keys: Keys) -> None:
    request = rpc.send("scoring", ENCODE, Ingesting(texts=("a",), space_id="mini").encode(), "encode", 5)
    assert 0 < client.ttl(keys.rpc(request)) <= 120
    assert rpc.take(request, 1) is not None
    assert rpc.take(request, 1) is None
