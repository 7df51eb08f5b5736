"""A form with several files: all of them are taken, each with an id of its own, or none is and nothing is stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks.message_parts import UserMetadata
from tests.contract.gateway.conftest import LIMIT
from tests.contract.gateway.running import Json, Running, emptied, png, problem, running, wired
from tests.contract.gateway.test_uploads import END, FORM, announced, nothing_left, part
from tests.eventually import eventually
from workers.gateway.forms import FILES
from workers.redis.connection import Client

SMALL, LARGE = [png("small"), png("also small")], [png("large", 300_000), png("also large", 400_000)]
SIZES = pytest.mark.parametrize(
    "images",
    [SMALL, LARGE, [SMALL[0], LARGE[0]], [LARGE[0], SMALL[0]], [*SMALL, *LARGE]],
    ids=["small", "large", "small-large", "large-small", "four"],
)
BAD = [
    (b"no image", "b.txt", 415, "not-an-image"),
    (png("too large", LIMIT + 1), "b.png", 413, "too-large"),
    (b"", "b.png", 400, "bad-request"),
]


def form(*images: bytes, name: str = "image") -> bytes:
    return b"".join(part(name, image, f"{number}.png") for number, image in enumerate(images)) + END


def sent(gateway: Running, body: bytes | Iterator[bytes], headers: dict[str, str] | None = None,
         **params: Any) -> httpx.Response:  # fmt: skip
    return gateway.http.post("/v1/images", content=body, headers=FORM | (headers or {}), params=params)


def taken(gateway: Running, answer: httpx.Response) -> dict[str, bytes]:
    """What is stored under the ids of an answer."""
    assert answer.status_code == 202, answer.text
    return {one["id"]: (gateway.folder / one["key"]).read_bytes() for one in answer.json()["images"]}


def of_upload(gateway: Running, one: Json) -> UserMetadata | None:
    info = gateway.wiring.store.stat(gateway.wiring.settings.bucket, one["key"])
    assert info is not None
    return info.user_metadata


@SIZES
def test_every_file_is_stored_and_announced_in_the_order_of_the_form(gateway: Running, images: list[bytes]) -> None:
    answer = sent(gateway, form(*images))
    assert list(taken(gateway, answer).values()) == images
    assert announced(gateway) == [one["key"] for one in answer.json()["images"]]
    assert (answer.headers["retry-after"], "location" in answer.headers) == ("1", False)
    for one in answer.json()["images"]:
        assert gateway.http.get(f"/v1/images/{one['id']}").json()["state"] == "queued"


def test_the_inputs_may_have_any_names(gateway: Running) -> None:
    body = part("photo", SMALL[0], "a.png") + part("image[]", SMALL[1], "b.png") + part("", png("c"), "c.png") + END
    assert len(taken(gateway, sent(gateway, body))) == 3


@pytest.mark.parametrize("image", [SMALL[0], LARGE[0]], ids=["small", "large"])
@pytest.mark.parametrize("place", ["before", "behind", "between"])
def test_inputs_that_were_left_empty_do_not_matter(gateway: Running, image: bytes, place: str) -> None:
    empty, file = part("image", b"", ""), part("image", image, "a.png")
    bodies = {"before": empty * 2 + file, "behind": file + empty * 2, "between": file + empty + file}
    answer = sent(gateway, bodies[place] + END)
    assert answer.status_code == 202, answer.text
    assert len(gateway.stored()) == (2 if place == "between" else 1)
    assert ("id" in answer.json()) == (place != "between")  # one file: as without the empty inputs


@pytest.mark.parametrize("first", [SMALL[0], LARGE[0]], ids=["small", "large"])
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(("data", "name", "status", "kind"), BAD, ids=["no image", "too large", "empty"])
def test_one_bad_file_refuses_all_and_is_named(
    gateway: Running, client: Client, first: bytes, place: int, data: bytes, name: str, status: int, kind: str
) -> None:
    files = [(first, "a.png"), (SMALL[1], "c.png")]
    files.insert(place, (data, name))
    body = b"".join(part("image", *file) for file in files) + END
    answer = sent(gateway, iter([body]), {"Idempotency-Key": "bad"})
    assert (answer.status_code, problem(answer)) == (status, kind)
    assert place == 0 or f"file {place + 1} ({name})" in answer.json()["detail"]
    nothing_left(gateway, client)


@pytest.mark.parametrize("first", [SMALL[0], LARGE[0]], ids=["small", "large"])
def test_a_form_that_is_cut_off_behind_its_first_file_leaves_nothing(
    gateway: Running, client: Client, first: bytes
) -> None:
    body = part("image", first, "a.png") + part("image", SMALL[1], "b.png")[:-9]
    assert problem(sent(gateway, body)) == "bad-request"
    nothing_left(gateway, client)


def test_a_form_has_a_largest_number_of_files(gateway: Running, client: Client) -> None:
    answer = sent(gateway, form(*[png(str(number)) for number in range(FILES + 1)]))
    assert (answer.status_code, problem(answer)) == (400, "bad-request")
    assert f"more than {FILES} file" in answer.json()["detail"]
    nothing_left(gateway, client)
    assert len(taken(gateway, sent(gateway, form(*[png(str(number)) for number in range(FILES)])))) == FILES


@pytest.mark.parametrize("announced_", [True, False])
def test_a_form_has_a_largest_size(gateway: Running, client: Client, announced_: bool) -> None:
    body = form(*[png(str(number), LIMIT) for number in range(6)])
    answer = sent(gateway, body if announced_ else iter([body]))
    assert (answer.status_code, problem(answer)) == (413, "too-large")
    assert "send fewer" in answer.json()["detail"]
    nothing_left(gateway, client)


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", ""])
def test_a_file_needs_no_file_name(gateway: Running, kind: str) -> None:
    """Where a type says what it is, or the name of the input, as some generated clients send it."""
    name, typed = ("photo", f"\r\nContent-Type: {kind}") if kind else ("image", "")
    plain = f'name="{name}"\r\n'.encode()
    body = part(name, SMALL[0]).replace(plain, plain.rstrip() + typed.encode() + b"\r\n")
    assert sent(gateway, body + END).status_code == 202
    assert len(taken(gateway, sent(gateway, body * 2 + END))) == 2


def test_an_image_in_a_field_is_not_dropped_in_silence(gateway: Running, client: Client) -> None:
    answer = sent(gateway, part("image", SMALL[0], "a.png") + part("photo", SMALL[1]) + END)
    assert (answer.status_code, problem(answer)) == (400, "bad-request")
    assert "'photo' is no text" in answer.json()["detail"]
    nothing_left(gateway, client)


@SIZES
def test_what_describes_the_images_describes_each(gateway: Running, images: list[bytes]) -> None:
    fields = part("client_id", b"4711") + part("metadata", b'{"title": "Paris"}')
    answer = sent(gateway, fields + form(*images))
    found = [of_upload(gateway, one) for one in answer.json()["images"]]
    assert found == [UserMetadata(f"{n}.png", "4711", (("title", "Paris"),)) for n in range(len(images))]


@SIZES
def test_one_name_is_not_given_to_several_files(gateway: Running, client: Client, images: list[bytes]) -> None:
    for by_form in (False, True):
        if by_form:
            answer = sent(gateway, part("file_name", b"x") + form(*images))
        else:
            answer = sent(gateway, form(*images), file_name="x")
        assert (answer.status_code, problem(answer)) == (422, "invalid")
        assert "file_name" in answer.text
    nothing_left(gateway, client)


@SIZES
def test_the_same_form_again_gives_the_same_images(gateway: Running, client: Client, images: list[bytes]) -> None:
    key = {"Idempotency-Key": "one"}
    first, again = sent(gateway, form(*images), key), sent(gateway, form(*images), key)
    assert list(taken(gateway, first)) == list(taken(gateway, again))
    assert len(gateway.stored()) == len(images)
    for other in (images[::-1], images[:1], [*images, png("more")], [*images[:-1], png("other")]):
        answer = sent(gateway, form(*other), key)
        assert (answer.status_code, problem(answer)) == (422, "mismatch")
    (kept,) = client.scan_iter("test:idempotency:*")
    assert set(json.loads(client.get(kept) or b"")) == {"id", "digest", "further"}


def test_the_images_can_be_waited_for_together(gateway: Running) -> None:
    answer = sent(gateway, form(*SMALL), wait=0.2)
    assert answer.status_code == 202
    assert [one["etag"] != "" for one in answer.json()["images"]] == [True, True]


def test_a_segmentation_is_requested_of_each(gateway: Running) -> None:
    for one in sent(gateway, form(*SMALL, *LARGE), segment="dense").json()["images"]:
        assert gateway.segmentation_request(f"{one['bucket']}/{one['key']}") == "dense"


@pytest.mark.parametrize("path", ["/v1/search", "/v1/uploads/{token}"])
@SIZES
def test_where_one_image_is_meant_a_second_is_refused(gateway: Running, path: str, images: list[bytes]) -> None:
    made = gateway.http.post("/v1/uploads", json={"content_type": "image/png"}).json()
    address = path.format(token=made["url"].rpartition("/")[2])
    answer = gateway.http.post(address, content=iter([form(*images)]), headers=FORM)
    assert (answer.status_code, problem(answer)) == (400, "bad-request")
    assert "send one image with a request" in answer.json()["detail"]
    assert not gateway.stored()
    if "token" in path:
        empty = part("image", b"", "")
        assert gateway.http.post(address, content=empty + form(SMALL[0]), headers=FORM).status_code == 204


@contextmanager
def limited(redis_url: str, home: Path, **settings: Any) -> Iterator[Running]:
    wiring = wired(home, redis_url, **settings)
    with running(wiring) as gateway:
        emptied(gateway)
        yield gateway


@pytest.mark.parametrize("images", [SMALL * 2, LARGE * 2], ids=["small", "large"])
def test_each_image_takes_its_room_in_the_queue(redis_url: str, tmp_path: Path, images: list[bytes]) -> None:
    with limited(redis_url, tmp_path, backlog_max=3) as gateway:
        answer = sent(gateway, form(*images))
        assert (answer.status_code, problem(answer)) == (503, "busy")
        assert not gateway.stored()
        eventually(lambda: sent(gateway, form(*images[:3])).status_code == 202)
        assert len(gateway.stored()) == 3


def test_each_image_counts_as_a_request(redis_url: str, tmp_path: Path) -> None:
    with limited(redis_url, tmp_path, request_rate=5) as gateway:
        assert sent(gateway, form(*[png(str(number)) for number in range(40)])).status_code == 202
        answer = gateway.http.get("/v1/objects")
        assert (answer.status_code, problem(answer)) == (429, "too-many")
        assert int(answer.headers["retry-after"]) >= 5
