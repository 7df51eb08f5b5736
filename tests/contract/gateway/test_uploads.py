"""Images come in by ``POST /v1/images``: whole, once, and announced before they are answered for; or not at all."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from tests.contract.gateway.conftest import LIMIT
from tests.contract.gateway.running import Running, png, problem, running, status_of, wired
from tests.eventually import eventually
from workers.redis.connection import Client
from workers.stores.store import StoreAway

HEAD = "POST /v1/images HTTP/1.1\r\nHost: 127.0.0.1\r\n"
LARGE = png("large", 400_000)  # more than is read before anything is decided
BOUNDARY = "a-boundary"


def part(name: str, data: bytes, filename: str | None = None) -> bytes:
    named = f'; filename="{filename}"' if filename is not None else ""
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + data + b"\r\n"


def bounded(boundary: str) -> dict[str, str]:
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}


END = f"--{BOUNDARY}--\r\n".encode()
FORM = bounded(BOUNDARY)


def alone(gateway: Running) -> bytes:
    """The bytes of the only file of the bucket's uploads."""
    (path,) = gateway.stored()
    return path.read_bytes()


def announced(gateway: Running) -> list[str]:
    """The keys in the inbox, which is read without being emptied."""
    inbox = gateway.wiring.inbox
    inbox.prepare()
    return [event.key for _, event in inbox.read("test", 1000, None)]


def nothing_left(gateway: Running, client: Client) -> None:
    """No object, no temporary file, no event, no claim and no place."""
    eventually(lambda: not gateway.stored())
    assert announced(gateway) == []
    eventually(lambda: not list(client.scan_iter("test:idempotency:*")))
    with_all_places = [gateway.upload() for _ in range(2)]
    assert len(with_all_places) == 2


@pytest.mark.parametrize("image", [png("small"), LARGE], ids=["small", "large"])
def test_a_raw_body_is_stored_and_announced_before_it_is_answered_for(gateway: Running, image: bytes) -> None:
    answer = gateway.http.post("/v1/images", content=image, headers={"Content-Type": "image/jpeg"})
    assert (answer.status_code, answer.headers["retry-after"]) == (202, "1")
    body = answer.json()
    assert answer.headers["location"] == f"/v1/images/{body['id']}"
    assert (body["state"], body["key"]) == ("queued", f"uploads/{body['id']}")
    assert body["id"].endswith(".png")  # by its bytes, whatever it is called
    assert alone(gateway) == image
    assert announced(gateway) == [body["key"]]


@pytest.mark.parametrize("image", [png("small"), LARGE], ids=["small", "large"])
def test_the_file_of_a_form_is_stored(gateway: Running, image: bytes) -> None:
    form = part("note", b"a field before it") + part("image", image, "ä.png") + part("more", b"a field behind") + END
    assert gateway.http.post("/v1/images", content=form, headers=FORM).status_code == 202
    assert alone(gateway) == image


@pytest.mark.parametrize("length", [1, 7, 1000])
def test_a_stream_of_unknown_length_is_stored(gateway: Running, length: int) -> None:
    image = LARGE[: length * 200] if length < 1000 else LARGE
    pieces = (image[at : at + length] for at in range(0, len(image), length))
    assert gateway.http.post("/v1/images", content=pieces).status_code == 202
    assert alone(gateway) == image


@pytest.mark.parametrize(
    ("form", "headers", "status", "name"),
    [
        (part("image", png(), "a.png"), FORM, 400, "bad-request"),
        (part("image", LARGE, "a.png")[:-1], FORM, 400, "bad-request"),
        (part("note", b"no file") + END, FORM, 400, "bad-request"),
        (part("image", b"", "") + END, FORM, 400, "bad-request"),
        (part("note", b"x" * 500_000) + part("image", png(), "a.png") + END, FORM, 400, "bad-request"),
        (part("image", png(), "a.png") + END, {"Content-Type": "multipart/form-data"}, 400, "bad-request"),
        (part("image", png(), "a.png") + END, bounded(""), 400, "bad-request"),
        (part("image", png(), "a.png") + END, bounded("x"), 400, "bad-request"),
        (b"junk", FORM, 400, "bad-request"),
        (b"", FORM, 400, "bad-request"),
        (b"", {}, 400, "bad-request"),
        (b"no image at all", {"Content-Type": "image/png"}, 415, "not-an-image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", {}, 415, "not-an-image"),
        (part("image", b"no image", "a.png") + END, FORM, 415, "not-an-image"),
    ],
)
def test_what_is_no_image_is_refused_and_leaves_nothing(
    gateway: Running, client: Client, form: bytes, headers: dict[str, str], status: int, name: str
) -> None:
    answer = gateway.http.post("/v1/images", content=form, headers={**headers, "Idempotency-Key": "k"})
    assert (answer.status_code, problem(answer)) == (status, name)
    nothing_left(gateway, client)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"%PDF-1.7\n", "a PDF document"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"<!DOCTYPE html>\n<html><title>404</title>", "HTML"),
        (b"\0\0\0\x18ftypisom\0\0\2\0isommp42" + bytes(99), "MP4 video"),
        (b"\x1a\x45\xdf\xa3" + bytes(99), "Matroska or WebM video"),
        (b"8BPS\0\1" + bytes(99), "Photoshop"),
    ],
)
def test_a_refusal_names_what_was_met_and_lists_what_is_read(gateway: Running, data: bytes, says: str) -> None:
    detail = gateway.http.post("/v1/images", content=data).json()["detail"]
    assert says in detail
    for read in ("JPEG", "PNG", "TIFF", "camera raw"):
        assert read in detail


@pytest.mark.parametrize("idempotent", [{}, {"Idempotency-Key": "large"}], ids=["", "idempotent"])
@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT + 50_000_000])
def test_more_bytes_than_are_taken_are_refused_by_their_announcement(
    gateway: Running, client: Client, size: int, idempotent: dict[str, str]
) -> None:
    answer = gateway.http.post("/v1/images", content=png("large", size), headers=idempotent)
    assert (answer.status_code, problem(answer)) == (413, "too-large")
    nothing_left(gateway, client)


@pytest.mark.parametrize("idempotent", [{}, {"Idempotency-Key": "large"}], ids=["", "idempotent"])
@pytest.mark.parametrize("form", [False, True], ids=["raw", "form"])
def test_more_bytes_than_are_taken_are_refused_while_they_come(
    gateway: Running, client: Client, idempotent: dict[str, str], form: bool
) -> None:
    image = png("large", LIMIT + 1)
    body = part("image", image, "a.png") + END if form else image
    answer = gateway.http.post("/v1/images", content=iter([body]), headers=idempotent | (FORM if form else {}))
    assert (answer.status_code, problem(answer)) == (413, "too-large")
    nothing_left(gateway, client)


def test_exactly_the_limit_is_taken(gateway: Running) -> None:
    image = png("full", LIMIT)
    assert gateway.http.post("/v1/images", content=image).status_code == 202
    assert gateway.http.post("/v1/images", content=part("i", image, "a.png") + END, headers=FORM).status_code == 202
    assert gateway.http.post("/v1/images", content=iter([image])).status_code == 202


def test_a_form_does_not_go_on_for_ever_behind_its_file(gateway: Running, client: Client) -> None:
    pieces = (part("image", png(), "a.png"), *[part("more", b"x" * 60_000)] * 40, END)
    answer = gateway.http.post("/v1/images", content=iter(pieces), headers=FORM)
    assert (answer.status_code, problem(answer)) == (400, "bad-request")
    nothing_left(gateway, client)


@pytest.mark.parametrize("sent", [0, 1000, 300_000], ids=["headers", "head", "file"])
@pytest.mark.parametrize("key", ["", "Idempotency-Key: half\r\n"], ids=["", "idempotent"])
def test_half_an_upload_leaves_nothing(gateway: Running, client: Client, sent: int, key: str) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port)) as half:
        head = f"{HEAD}Content-Length: {len(LARGE)}\r\n{key}\r\n"
        half.sendall(head.encode() + LARGE[:sent])
        if sent > 2**18:
            eventually(gateway.stored)  # it is being written
    nothing_left(gateway, client)


@pytest.mark.parametrize("sent", [0, 1000, 300_000], ids=["headers", "head", "file"])
@pytest.mark.parametrize("key", ["", "Idempotency-Key: slow\r\n"], ids=["", "idempotent"])
def test_a_sender_that_falls_silent_is_given_up(gateway: Running, client: Client, sent: int, key: str) -> None:
    head = f"{HEAD}Content-Length: {len(LARGE)}\r\n{key}\r\n"
    answer = gateway.raw(head.encode() + LARGE[:sent])
    assert status_of(answer) == 408
    assert b"urn:wildtag:problem:timeout" in answer
    nothing_left(gateway, client)


def test_a_sender_with_pauses_is_waited_for(gateway: Running) -> None:
    def slowly() -> object:
        for at in range(0, len(LARGE), 80_000):
            time.sleep(0.1)  # less than the gateway waits for the next bytes
            yield LARGE[at : at + 80_000]

    assert gateway.http.post("/v1/images", content=slowly()).status_code == 202  # type: ignore[arg-type]  # an iterator
    assert alone(gateway) == LARGE


def test_an_image_may_be_waited_for(gateway: Running) -> None:
    waited = gateway.http.post("/v1/images?wait=0.2", content=png("late"))
    assert (waited.status_code, waited.json()["state"]) == (202, "queued")
    assert waited.json()["etag"]


def test_only_so_many_uploads_come_in_at_once(redis_url: str, tmp_path: Path) -> None:
    with running(wired(tmp_path, redis_url), uploads_max=2) as gateway:
        head = f"{HEAD}Content-Length: 100000\r\n\r\n".encode()
        halves = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(2)]
        for half in halves:
            half.sendall(head + png("half"))

        def refused() -> bool:
            answer = gateway.http.post("/v1/images", content=png("third"))
            return answer.status_code == 429 and (problem(answer), answer.headers["retry-after"]) == ("too-many", "1")

        eventually(refused)
        for half in halves:
            half.close()
        eventually(lambda: gateway.http.post("/v1/images", content=png("third")).status_code == 202)


def test_nothing_more_is_accepted_behind_a_long_queue(redis_url: str, client: Client, tmp_path: Path) -> None:
    with running(wired(tmp_path, redis_url), backlog_max=3) as gateway:
        for _ in range(3):
            gateway.upload()

        def busy() -> bool:
            answer = gateway.http.post("/v1/images", content=png())
            return answer.status_code == 503 and (problem(answer), answer.headers["retry-after"]) == ("busy", "10")

        eventually(busy)
        client.delete("test:inbox")
        eventually(lambda: gateway.http.post("/v1/images", content=png()).status_code == 202)


def test_a_disk_that_takes_nothing_is_a_fault_that_passes(redis_url: str, client: Client, tmp_path: Path) -> None:
    wiring = wired(tmp_path, redis_url)
    (tmp_path / "inbox" / "uploads").write_bytes(b"a file where the folder would be")
    client.flushall()
    with running(wiring) as gateway:
        answer = gateway.http.post("/v1/images", content=png())
        assert (answer.status_code, problem(answer)) == (503, "unavailable")
        assert "retry-after" in answer.headers
        with pytest.raises(StoreAway):
            gateway.put("uploads/a.png")
