"""The Python client, against a gateway that refuses, forgets and hangs up."""

from __future__ import annotations

import io
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from tests.contract.client.gateway_and_client import CAT, IMAGES
from tests.contract.client.gateway_and_client import client as client  # noqa: PLC0414 -- a fixture
from tests.contract.client.gateway_and_client import gateway as gateway  # noqa: PLC0414 -- a fixture
from tests.contract.made_up_gateway import Answer, MadeUpGateway, problem
from vectordb.errors import Permanent, Transient
from workers.client import ApiError, Away, Client, Postponed, Refused, StrangeAnswer
from workers.embedded.ports import free_port


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


def test_what_the_detail_names_is_said_once(gateway: MadeUpGateway, client: Client) -> None:
    body = {"detail": "query.limit: 9", "errors": [{"where": "query.limit", "reason": "9"}]}
    gateway.prepare(IMAGES, Answer(422, json.dumps(body).encode()))
    with pytest.raises(Refused, match=r"^query\.limit: 9$"):
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
