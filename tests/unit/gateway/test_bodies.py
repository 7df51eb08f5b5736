"""An image comes out of a request as it went in, however the network cuts it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from tests.acceptance.images import one_pixel
from workers.gateway.bodies import HEAD, Body, received
from workers.gateway.body_memory import BodyMemory
from workers.gateway.form_files import FormSpace
from workers.gateway.problems import Problem

PIXEL = one_pixel()
LIMIT = 2 * HEAD


def cut(data: bytes, places: list[int]) -> Iterator[bytes]:
    """The data in pieces."""
    bounds = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    for start, end in pairwise(bounds):
        yield data[start:end]


def request(pieces: list[bytes], content_type: str) -> Request:
    left = list(pieces)

    async def receive() -> dict[str, Any]:
        body = left.pop(0) if left else b""
        return {"type": "http.request", "body": body, "more_body": bool(left)}

    return Request({"type": "http", "headers": [(b"content-type", content_type.encode())]}, receive)


async def whole(pieces: list[bytes], content_type: str) -> tuple[Body, bytes]:
    body = await received(request(pieces, content_type), LIMIT)
    data = body.head
    while piece := await body.next():
        data += piece
    return body, data


def form(image: bytes) -> bytes:
    """A form with a field before the file and one behind it."""
    return (
        b'--XyZ\r\nContent-Disposition: form-data; name="who"\r\n\r\nme\r\n'
        b'--XyZ\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
        + image + b'\r\n--XyZ\r\nContent-Disposition: form-data; name="more"\r\n\r\n\r\n--XyZ--\r\n'
    )  # fmt: skip


@given(places=st.lists(st.integers(min_value=0), max_size=30), tail=st.binary(max_size=300), large=st.booleans())
def test_any_cutting_of_a_form_gives_the_same_image(places: list[int], tail: bytes, large: bool) -> None:
    image = PIXEL + (b"\r\n--XyY" * 40_000 if large else b"") + tail
    body, data = asyncio.run(whole(list(cut(form(image), places)), "multipart/form-data; boundary=XyZ"))
    assert data == image
    assert body.content_type == "image/png"


async def all_files(pieces: list[bytes]) -> list[bytes]:
    """The files of a form."""
    asked, memory, space = request(pieces, "multipart/form-data; boundary=XyZ"), BodyMemory(LIMIT), FormSpace(LIMIT)
    with memory.lease("") as lease, space.files("", lease, LIMIT, video=False) as further:
        body = await received(asked, LIMIT, further=further)
        first = body.head
        while piece := await body.next():
            first += piece
        return [first, *(file.file().read() for file in body.further)]


@given(
    places=st.lists(st.integers(min_value=0), max_size=30),
    sizes=st.lists(st.sampled_from([0, 1, 1000, HEAD + 7]), min_size=1, max_size=4),
    empty=st.lists(st.integers(min_value=0, max_value=3), max_size=3),
)
def test_any_cutting_of_a_form_gives_the_same_files(places: list[int], sizes: list[int], empty: list[int]) -> None:
    images = [PIXEL + bytes([number]) * size for number, size in enumerate(sizes)]
    head = b'--XyZ\r\nContent-Disposition: form-data; name="i"; filename="'
    body = b""
    for number, image in enumerate(images):
        body += (head + b'"\r\n\r\n\r\n') * empty.count(number) + head + b'a.png"\r\n\r\n' + image + b"\r\n"
    assert asyncio.run(all_files(list(cut(body + b"--XyZ--\r\n", places)))) == images


@given(places=st.lists(st.integers(min_value=0), max_size=30))
def test_any_cutting_of_a_raw_body_gives_the_same_image(places: list[int]) -> None:
    image = PIXEL.ljust(HEAD + 1000, b"\0")
    body, data = asyncio.run(whole(list(cut(image, places)), "text/html"))
    assert data == image
    assert body.content_type == "image/png"  # whatever was claimed


@pytest.mark.parametrize(
    ("data", "name"),
    [(b"", "bad-request"), (b"GIF", "not-an-image"), (b"<svg/>", "not-an-image"),
     (PIXEL.ljust(LIMIT + 1, b"\0"), "too-large")],
)  # fmt: skip
def test_what_is_no_image_is_refused(data: bytes, name: str) -> None:
    with pytest.raises(Problem) as refused:
        asyncio.run(whole([data], "image/png"))
    assert refused.value.name == name


@pytest.mark.parametrize(
    ("data", "named"),
    [(b"%PDF-1.7\n", "a PDF document"), (b"\0\0\0\x18ftypisom\0\0\2\0isommp42", "an MP4 video"),
     (b"\n<!-- drawn -->\n<svg/>", "an SVG drawing"), (b"<!doctype html><p>", "an HTML page"),
     (b"\x89PNG\r\n\x1a\n\0\0\0\x04CgBIP\0 \2", "CgBI")],
)  # fmt: skip
def test_what_it_is_and_what_is_read_are_told(data: bytes, named: str) -> None:
    with pytest.raises(Problem) as refused:
        asyncio.run(whole([data], "image/png"))
    assert refused.value.name == "not-an-image"
    assert named in str(refused.value.detail)
    if named != "CgBI":
        assert "JPEG, " in str(refused.value.detail)
