"""Captions are taught, found and taken back through the workers that have them; without a worker that is said."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, cast

import pytest

from tests.contract.captions.test_remote_captions import SPACE, Encoder, Shelf, Worker
from tests.contract.gateway.running import Running, emptied, problem, running, wired
from tests.contract.real_depths import real_depths
from vectordb.captions import Caption
from vectordb.exact import ExactIndex
from vectordb.image_library import ImageLibrary
from vectordb.image_server import ServerImages
from vectordb.images import ImageEntry
from vectordb.library import Library
from vectordb.server_client import connect
from workers.broker.depths import DepthReader
from workers.broker.publisher import Publisher
from workers.captions.versions import OpenIndexes
from workers.images.archive import Archive
from workers.images.open_images import OpenImages
from workers.wiring.gateway import caption_service
from workers.wiring.wiring import Wiring


class WithWorker(Wiring):
    """A wiring whose questions a stand-in answers as the retrieval and embedding workers do."""

    space = SPACE

    @cached_property
    def shelf(self) -> Shelf:
        return Shelf(ExactIndex(16))

    @cached_property
    def worker(self) -> Worker:
        images = OpenImages(lambda: cast("ImageLibrary", self), "space", 16)
        archive = Archive(lambda: images, self.follow_jobs, lambda: self.publisher, lambda: None)
        return Worker(self.redis, self.keys, OpenIndexes(cast("Library", self.shelf), "mini"), archive)

    def open(self, *_: object) -> ServerImages:
        """As the library of images does."""
        return self.tagged

    @cached_property
    def tagged(self) -> ServerImages:
        """The index of images."""
        return ServerImages.create(connect(":memory:"), "images", 16)

    @cached_property
    def publisher(self) -> Publisher:
        return cast("Publisher", self.worker)

    @cached_property
    def depths(self) -> DepthReader:
        return real_depths(self)

    @cached_property
    def chosen(self) -> Callable[[], str]:
        return lambda: "words@1"


@pytest.fixture(scope="module")
def module_desk(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    wiring = wired(tmp_path_factory.mktemp("home"), redis_url, WithWorker)
    with running(wiring, replaced={"captions": caption_service(wiring, patience_s=0.5)}) as gateway:
        yield gateway


@pytest.fixture
def gateway(module_desk: Running) -> Running:
    """A gateway whose worker knows one caption, from an import."""
    emptied(module_desk)
    wiring = cast("WithWorker", module_desk.wiring)
    wiring.worker.away = False
    index = wiring.shelf.index
    index.remove([caption.id for page, _ in index.pages() for caption in page])
    index.add([Caption.of("an imported caption")], Encoder().encode(["an imported caption"]))
    return module_desk


def teach(gateway: Running, *captions: str, **more: Any) -> list[dict[str, Any]]:
    answer = gateway.http.post("/v1/captions", json={"captions": captions, **more})
    assert answer.status_code == 201, answer.text
    return cast("list[dict[str, Any]]", answer.json()["captions"])


def test_what_is_taught_is_found_and_taken_back(gateway: Running) -> None:
    (taught,) = teach(gateway, "a great crested grebe", source="ornithologists")
    assert (taught["caption"], taught["added"]) == ("a great crested grebe", True)
    assert teach(gateway, "a great  crested grebe")[0] == taught | {"added": False}
    found = gateway.http.get("/v1/captions/search", params={"q": "a great crested grebe", "limit": 2}).json()[
        "captions"
    ]
    assert found[0] == {
        "id": taught["id"], "caption": "a great crested grebe", "similarity": pytest.approx(1, abs=1e-3),
        "source": "ornithologists",
    }  # fmt: skip
    assert found[1]["source"] is None
    assert gateway.http.delete(f"/v1/captions/{taught['id']}").status_code == 204
    again = gateway.http.delete(f"/v1/captions/{taught['id']}")
    assert (again.status_code, problem(again)) == (404, "not-found")
    left = gateway.http.get("/v1/captions/search", params={"q": "grebe"}).json()["captions"]
    assert [caption["caption"] for caption in left] == ["an imported caption"]


def test_images_that_a_caption_concerns_are_tagged_again(gateway: Running) -> None:
    wiring = cast("WithWorker", gateway.wiring)
    vectors = Encoder().encode(["a great crested grebe", "something else"])
    near = ImageEntry(wiring.settings.bucket, "near.jpg", "e", "words@1", floor=0.9)
    far = ImageEntry(wiring.settings.bucket, "far.jpg", "e", "words@1", floor=0.9)
    wiring.tagged.put([near, far], vectors)
    lesson = {"captions": ["a great crested grebe", "another"], "dry_run": True}
    answer = gateway.http.post("/v1/captions", json=lesson)
    assert (answer.status_code, answer.json()["images"]) == (200, 1)
    assert [caption["images"] for caption in answer.json()["captions"]] == [1, 0]
    assert wiring.low_priority_inbox.length() == 0
    assert gateway.http.get("/v1/captions/search", params={"q": "grebe"}).json()["captions"][0]["source"] is None
    (taught, _) = teach(gateway, "a great crested grebe", "another")
    assert taught["images"] == 1
    assert wiring.backlog.step() == 1
    assert wiring.low_priority_inbox.length() == 1
    removed = gateway.http.delete(f"/v1/captions/{taught['id']}")
    assert removed.headers["wildtag-images"] == "1"
    assert wiring.backlog.step() == 1
    wiring.low_priority_inbox.prepare()
    events = wiring.low_priority_inbox.read("me", 10, None)
    assert [(event.key, event.force) for _, event in events] == [("near.jpg", True)]  # it waits already


def test_what_came_with_an_import_stays(gateway: Running) -> None:
    refused = gateway.http.delete(f"/v1/captions/{Caption.of('an imported caption').id:016x}")
    assert (refused.status_code, problem(refused)) == (404, "not-found")
    assert "import" in refused.json()["detail"]


@pytest.mark.parametrize("name", ["x", "0" * 16, "0" * 15, "F" * 16])
def test_what_is_no_caption_is_not_found(gateway: Running, name: str) -> None:
    assert problem(gateway.http.delete(f"/v1/captions/{name}")) == "not-found"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"captions": []}, 422), ({"captions": [""]}, 422), ({"captions": ["x" * 1001]}, 422), ({}, 422),
        ({"captions": ["x"] * 101}, 422), ({"captions": ["x"], "source": ""}, 422), ({"captions": ["<p></p>"]}, 400),
        ({"captions": ["\0"]}, 400), ({"captions": ["x"], "source": "a\nb"}, 422), ({"captions": "x"}, 422),
    ],
)  # fmt: skip
def test_what_says_nothing_is_not_taught(gateway: Running, body: object, status: int) -> None:
    answer = gateway.http.post("/v1/captions", json=body)
    assert (answer.status_code, problem(answer)) == (status, "invalid" if status == 422 else "bad-request")
    assert cast("WithWorker", gateway.wiring).shelf.index.count() == 1


def test_without_a_worker_that_is_said_in_time(gateway: Running) -> None:
    cast("WithWorker", gateway.wiring).worker.away = True
    requests = [
        gateway.http.build_request("POST", "/v1/captions", json={"captions": ["a"]}),
        gateway.http.build_request("GET", "/v1/captions/search?q=a"),
        gateway.http.build_request("DELETE", "/v1/captions/" + "0" * 16),
    ]
    for request in requests:
        answer = gateway.http.send(request)
        assert (answer.status_code, problem(answer)) == (503, "unavailable")
        assert answer.headers["retry-after"]


def test_silent_workers_keep_nobody_else_waiting(gateway: Running) -> None:
    """More ask for captions than there are threads; all other requests are answered meanwhile."""
    cast("WithWorker", gateway.wiring).worker.away = True
    asking = [threading.Thread(target=lambda: gateway.http.get("/v1/captions/search?q=a")) for _ in range(60)]
    for thread in asking:
        thread.start()
    took = []
    for _ in range(10):
        began = time.monotonic()
        assert gateway.http.get("/v1/tags").status_code == 200
        took.append(time.monotonic() - began)
    assert sorted(took)[5] < 0.3
    for thread in asking:
        thread.join(30)
