"""The Python client, against a gateway that refuses, forgets and hangs up."""

from __future__ import annotations

import io
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from tests.contract.made_up_gateway import Answer, MadeUpGateway, made_up_gateway, problem, record
from vectordb.errors import Permanent, Transient
from workers.client import ApiError, Away, Client, Image, NotFinished, Postponed, Refused, StrangeAnswer
from workers.embedded.stack import free_port

CAT = b"image of a cat"
IMAGES = "/v1/images"


@pytest.fixture
def gateway() -> Iterator[MadeUpGateway]:
    with made_up_gateway() as made:
        yield made


@pytest.fixture
def client(gateway: MadeUpGateway) -> Iterator[Client]:
    with Client(gateway.url, "a-key", timeout=10, patience=10) as made:
        yield made


def pipe(data: bytes) -> BinaryIO:
    """A stream that cannot be read twice."""
    reading, writing = os.pipe()

    def write() -> None:
        with open(writing, "wb") as end:  # noqa: PTH123 -- a descriptor
            end.write(data)

    threading.Thread(target=write).start()
    return cast("BinaryIO", open(reading, "rb"))  # noqa: PTH123 -- as above; the test closes it


def test_a_file_is_uploaded_under_its_type_with_the_key(
    gateway: MadeUpGateway, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "cat.jpg").write_bytes(CAT)
    image = client.upload(tmp_path / "cat.jpg")
    assert gateway.stored == {image.id: CAT}
    assert (image.state, image.final, image.position, image.record) == ("queued", False, 3, None)
    (asked,) = gateway.asked
    assert asked.headers["content-type"] == "image/jpeg"
    assert asked.headers["content-length"] == str(len(CAT))
    assert asked.headers["authorization"] == "Bearer a-key"


@pytest.mark.parametrize("source", [
    lambda folder: str(folder / "cat.png"), lambda _: CAT, lambda _: io.BytesIO(CAT), lambda _: pipe(CAT),
    lambda _: _after(io.BytesIO(b"1234" + CAT), 4),
])  # fmt: skip
def test_whatever_is_uploaded_can_be_sent_twice(
    gateway: MadeUpGateway, client: Client, tmp_path: Path, source: Callable[[Path], BinaryIO]
) -> None:
    (tmp_path / "cat.png").write_bytes(CAT)
    gateway.prepare(IMAGES, problem(503, "unavailable", Retry_After="0"))
    given = source(tmp_path)
    image = client.upload(given, content_type="image/png")
    assert gateway.stored == {image.id: CAT}
    assert [asked.body for asked in gateway.asked] == [CAT, CAT]
    if isinstance(given, io.IOBase):
        given.close()


def _after(stream: BinaryIO, position: int) -> BinaryIO:
    stream.seek(position)
    return stream


def test_a_large_file_is_not_held_in_memory(gateway: MadeUpGateway, client: Client) -> None:
    class Zeros(io.RawIOBase):
        at, most = 0, 0

        def seekable(self) -> bool:
            return True

        def tell(self) -> int:
            return self.at

        def seek(self, to: int, whence: int = io.SEEK_SET) -> int:
            self.at = to if whence == io.SEEK_SET else 2**24 + to
            return self.at

        def read(self, size: int = -1) -> bytes:
            self.most = max(self.most, size)
            given = min(size, 2**24 - self.at)
            start, self.at = self.at, self.at + given
            return (b"image" + bytes(given))[:given] if start == 0 else bytes(given)

    zeros = Zeros()
    image = client.upload(cast("BinaryIO", zeros))
    assert len(gateway.stored[image.id]) == 2**24
    assert 0 < zeros.most <= 2**20


def test_the_pause_that_is_asked_for_is_made(gateway: MadeUpGateway, client: Client) -> None:
    gateway.prepare(IMAGES, problem(429, "too-many", Retry_After="1"))
    began = time.monotonic()
    client.upload(CAT)
    assert 1.0 <= time.monotonic() - began < 5
    assert len(gateway.asked) == 2


def test_a_connection_that_breaks_uploads_nothing_twice(gateway: MadeUpGateway, client: Client) -> None:
    gateway.prepare(IMAGES, Answer(drop=True), Answer(drop=True))
    image = client.upload(CAT)
    assert gateway.stored == {image.id: CAT}
    assert len({asked.headers["idempotency-key"] for asked in gateway.asked}) == 1
    assert len(gateway.asked) == 3


def test_the_first_of_two_equal_requests_is_waited_for(gateway: MadeUpGateway, client: Client) -> None:
    gateway.prepare(IMAGES, problem(409, "conflict", Retry_After="0"))
    assert client.upload(CAT, idempotency_key="mine").id in gateway.stored
    assert [asked.headers["idempotency-key"] for asked in gateway.asked] == ["mine", "mine"]


def test_every_upload_is_one_of_its_own(gateway: MadeUpGateway, client: Client) -> None:
    assert client.upload(CAT).id != client.upload(CAT).id
    assert client.upload(CAT, idempotency_key="a").id == client.upload(CAT, idempotency_key="a").id
    assert len(gateway.stored) == 3


@pytest.mark.parametrize(("status", "name"), [(401, "unauthorized"), (413, "too-large"), (422, "mismatch"),
                                              (409, "conflict"), (500, "internal")])  # fmt: skip
def test_what_is_refused_is_not_sent_again(gateway: MadeUpGateway, client: Client, status: int, name: str) -> None:
    gateway.prepare(IMAGES, problem(status, name, "this is why"))
    with pytest.raises(Refused, match="this is why") as caught:
        client.upload(CAT)
    error = caught.value
    assert (error.type, error.status, error.retry_after) == (name, status, None)
    assert isinstance(error, ApiError)
    assert isinstance(error, Permanent)
    assert len(gateway.asked) == 1


def test_who_is_asked_to_wait_for_too_long_is_told_so(gateway: MadeUpGateway, client: Client) -> None:
    gateway.prepare(IMAGES, problem(503, "busy", Retry_After="3600"))
    with pytest.raises(Postponed) as caught:
        client.upload(CAT)
    assert (caught.value.type, caught.value.retry_after) == ("busy", 3600.0)
    assert isinstance(caught.value, Transient)
    assert len(gateway.asked) == 1


def test_what_is_invalid_is_named(gateway: MadeUpGateway, client: Client) -> None:
    body = {"detail": "no", "errors": [{"where": "query.limit", "reason": "9"}]}
    gateway.prepare(IMAGES, Answer(422, json.dumps(body).encode()))
    with pytest.raises(Refused, match=r"no \(query\.limit: 9\)"):
        client.upload(CAT)


def test_an_error_of_a_proxy_is_an_error_too(gateway: MadeUpGateway, client: Client) -> None:
    past = {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}
    gateway.prepare(IMAGES, Answer(502, b"<html>", past), Answer(404, b"\xff"))
    with pytest.raises(Refused, match="404 Not Found") as caught:
        client.upload(CAT)
    assert caught.value.type == "about:blank"
    assert len(gateway.asked) == 2


@pytest.mark.parametrize("answer", [Answer(200, b"<html>"), Answer(200, b"\xff"), Answer(200, b"[]"), Answer(204)])
def test_what_is_no_gateway_is_noticed(gateway: MadeUpGateway, client: Client, answer: Answer) -> None:
    gateway.prepare(IMAGES, answer)
    with pytest.raises(StrangeAnswer):
        client.upload(CAT)


def test_nobody_there_is_told_after_some_patience() -> None:
    with Client(f"http://127.0.0.1:{free_port(0)}", patience=0.5) as client:
        with pytest.raises(Away, match="cannot reach the gateway"):
            client.upload(CAT)
        began = time.monotonic()
        with pytest.raises(Away):
            client.ping()
        assert time.monotonic() - began < 0.2


def test_a_gateway_that_is_silent_is_left(gateway: MadeUpGateway) -> None:
    with Client(gateway.url, timeout=0.2, patience=0) as client, gateway.lock, pytest.raises(Away, match="in time"):
        client.ping()


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://a", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(Permanent, match="not a gateway URL"):
        Client(url)


def test_a_key_that_cannot_be_sent_is_refused(gateway: MadeUpGateway) -> None:
    with Client(gateway.url, "two\r\nlines") as client, pytest.raises(Permanent, match="cannot be sent"):
        client.ping()


def test_an_image_is_waited_for_in_one_request(gateway: MadeUpGateway, client: Client) -> None:
    image = client.upload(CAT, wait=30)
    assert image.final
    assert image.record is not None
    assert [(tag.label, tag.evidence) for tag in image.record.tags] == [("cat", (0,))]
    assert image.finished_at == image.record.finished_at == 100.0
    assert len(gateway.asked) == 2


def test_every_step_can_be_heard_of(gateway: MadeUpGateway, client: Client) -> None:
    heard: list[Image] = []
    image = client.wait(client.upload(CAT).id, 30, on_change=heard.append)
    assert [step.state for step in heard] == gateway.steps
    assert heard[-1] == image
    assert [asked.headers.get("if-none-match") for asked in gateway.asked[1:]] == [None, '"0"', '"1"', '"2"']


def test_what_has_not_changed_is_asked_again(gateway: MadeUpGateway, client: Client) -> None:
    image = client.upload(CAT)
    gateway.steps = ["queued", "done"]
    gateway.prepare(
        f"{IMAGES}/{image.id}", Answer(200, json.dumps(gateway.image(image.id)).encode(), {"ETag": '"0"'}),
        Answer(304), Answer(503, b"", {"Retry-After": "0"}), Answer(drop=True),
    )  # fmt: skip
    assert client.wait(image.id, 30, on_change=lambda _: None).state == "done"


def test_an_image_that_takes_too_long_is_left(gateway: MadeUpGateway, client: Client) -> None:
    gateway.steps = ["queued", "embedding"]
    image = client.upload(CAT)
    with pytest.raises(NotFinished, match="the state is embedding") as caught:
        client.wait(image.id, 0.3)
    assert isinstance(caught.value, TimeoutError)
    assert client.upload(CAT, wait=0.3).state == "embedding"


def test_an_upload_is_heard_of_even_if_it_cannot_be_followed(gateway: MadeUpGateway, client: Client) -> None:
    gateway.prepare(f"{IMAGES}/{0:032x}", *[problem(503, "unavailable", Retry_After="60")] * 9)
    assert client.upload(CAT, wait=0.3).state == "queued"


def test_an_image_is_tagged_again_and_its_new_record_awaited(gateway: MadeUpGateway, client: Client) -> None:
    image = client.upload(CAT, wait=30)
    before = client.retag(image.id)
    assert client.wait(image.id, 30, since=before.finished_at or 0).final
    assert gateway.asked[-1].query["since"] == "100.0"


def test_an_image_is_deleted_once(client: Client) -> None:
    image = client.upload(CAT)
    assert client.delete(image.id)
    assert not client.delete(image.id)
    with pytest.raises(Refused, match="not-found"):
        client.get(image.id)


def test_an_id_cannot_lead_elsewhere(gateway: MadeUpGateway, client: Client) -> None:
    with pytest.raises(Refused):
        client.get("../captions?a=b")
    assert gateway.asked[-1].query == {}


def test_objects_are_found_page_by_page(gateway: MadeUpGateway, client: Client) -> None:
    found = list(client.find("moka pot", min_score=0.3))
    assert [(one.score, one.record.key) for one in found] == [(0.9, "one"), (0.4, "two")]
    assert [asked.query.get("cursor") for asked in gateway.asked] == [None, "next"]
    assert {asked.query["min_score"] for asked in gateway.asked} == {"0.3"}


def test_any_number_of_captions_is_taught(gateway: MadeUpGateway, client: Client) -> None:
    captions = [f"a moka pot for {number}" for number in range(250)]
    taught = client.teach(captions, source="tests")
    assert [(one.caption, one.added) for one in taught] == [(caption, True) for caption in captions]
    lessons = [json.loads(asked.body) for asked in gateway.asked]
    assert [(len(lesson["captions"]), lesson["source"]) for lesson in lessons] == [
        (100, "tests"), (100, "tests"), (50, "tests"),
    ]  # fmt: skip


def test_a_feed_that_broke_before_its_first_event_goes_on_where_it_was_opened(
    gateway: MadeUpGateway, client: Client
) -> None:
    kind = {"Content-Type": "text/event-stream"}
    opened = Answer(200, b": ping\n\nid: 7-1\n\n", kind)
    done = Answer(200, f"id: 8-0\nevent: done\ndata: {json.dumps(record('a', 'cat'))}\n\n".encode(), kind)
    gateway.prepare("/v1/feed", opened, done)
    assert next(client.feed()).id == "8-0"
    assert [asked.headers.get("last-event-id") for asked in gateway.asked] == [None, "7-1"]


def test_the_feed_goes_on_where_it_broke(gateway: MadeUpGateway, client: Client) -> None:
    def stream(*events: tuple[str, str, object]) -> Answer:
        text = "".join(f": ping\n\nid: {i}\nevent: {name}\ndata: {json.dumps(data)}\n\n" for i, name, data in events)
        return Answer(200, text.encode(), {"Content-Type": "text/event-stream"})

    gone = {"bucket": "inbox", "key": "b", "state": "removed"}
    away = problem(503, "unavailable", Retry_After="0")
    first, second = stream(("1-0", "done", record("a", "cat"))), stream(("2-0", "removed", gone), ("3-0", "gap", {}))
    gateway.prepare("/v1/feed", first, away, second)
    news = list(islice(client.feed(), 3))
    assert [(one.id, one.state, one.key) for one in news] == [("1-0", "done", "a"), ("2-0", "removed", "b"),
                                                              ("3-0", "gap", "")]  # fmt: skip
    assert news[0].record is not None
    assert news[0].record.tags[0].label == "cat"
    assert [asked.headers.get("last-event-id") for asked in gateway.asked] == [None, "1-0", "1-0"]
