"""Bodies that are not the bytes of a file: the refusal says what to send instead."""

from __future__ import annotations

import base64
import gzip
import io

import pytest
from PIL import Image

from tests.contract.gateway.running import Running, png, problem
from tests.contract.gateway.test_uploads import END, FORM, part

FORM_ENCODED = "application/x-www-form-urlencoded"
ROUTES = pytest.mark.parametrize("path", ["/v1/images", "/v1/search"])


def encoded(kind: str) -> bytes:
    """A real image of a format."""
    with io.BytesIO() as file:
        gradient = Image.linear_gradient("L").resize((40, 30)).convert("RGB")
        gradient.save(file, kind)
        return file.getvalue()


def stripped(data: bytes) -> bytes:
    """What ``curl -d @FILE`` sends of it."""
    return data.translate(None, b"\r\n\0")


KINDS = ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "AVIF"]


@ROUTES
@pytest.mark.parametrize("kind", KINDS)
def test_what_curl_d_leaves_of_an_image_is_refused(gateway: Running, path: str, kind: str) -> None:
    answer = gateway.http.post(path, content=stripped(encoded(kind)), headers={"Content-Type": FORM_ENCODED})
    assert (answer.status_code, problem(answer)) == (415, "not-an-image")
    assert "--data-binary @FILE" in answer.json()["detail"]
    assert not gateway.stored()


@pytest.mark.parametrize("kind", KINDS)
def test_data_binary_declares_the_same_type_and_is_taken(gateway: Running, kind: str) -> None:
    answer = gateway.http.post("/v1/images", content=encoded(kind), headers={"Content-Type": FORM_ENCODED})
    assert answer.status_code == 202, answer.text


@ROUTES
@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b"image=%89PNG", FORM_ENCODED, "form"),
        (b"@cat.jpg", FORM_ENCODED, "form"),
        (b'{"image": "iVBOR"}', "application/json", "JSON"),
        (b'{"image": "iVBOR"}', "", "JSON"),
        (b"[]", "application/json", "JSON"),
        (b' \n[ {"url": "https://example.org/a.png"} ]', "text/plain", "JSON"),
        (b'"cat"', "application/json", "JSON"),
        (b"{}", "application/vnd.api+json", "JSON"),
        (b"data:image/png;base64," + base64.b64encode(png()), "", "data URL"),
        (b'"data:image/png;base64,iVBORw0KGgo"', "application/json", "data URL"),
        (b"data:image/svg+xml,%3Csvg%3E", "text/plain", "data URL"),
        (b"data:;base64,/9j/4AAQ", "text/plain", "data URL"),
        (base64.b64encode(png()), "text/plain", "base64"),
        (base64.b64encode(b"\xff\xd8\xff\xe0\0\x10JFIF"), "image/jpeg", "base64"),
        (part("a", png(), "a.png") + END, "multipart/mixed; boundary=a-boundary", "multipart/mixed"),
    ],
)  # fmt: skip
def test_a_usual_mistake_gets_a_hint(gateway: Running, path: str, body: bytes, kind: str, says: str) -> None:
    answer = gateway.http.post(path, content=body, headers={"Content-Type": kind} if kind else {})
    assert (answer.status_code, problem(answer)) == (415, "not-an-image")
    detail = answer.json()["detail"]
    assert says in detail
    assert "--data-binary @FILE" in detail
    assert not gateway.stored()


def test_an_image_is_taken_whatever_it_is_declared_as(gateway: Running) -> None:
    for kind in ("application/json", "text/html", "multipart/mixed"):
        assert gateway.http.post("/v1/images", content=png(kind), headers={"Content-Type": kind}).is_success


@pytest.mark.parametrize("path", ["/v1/images", "/v1/search", "/v1/batches", "/v1/uploads"])
@pytest.mark.parametrize(
    "encoding", ["gzip", "br", "deflate", "zstd", "compress", "x-gzip", "GZIP", "identity, gzip"]
)
def test_a_compressed_body_is_refused_and_says_what_to_do(gateway: Running, path: str, encoding: str) -> None:
    answer = gateway.http.post(path, content=gzip.compress(png()), headers={"Content-Encoding": encoding})
    assert (answer.status_code, problem(answer)) == (415, "unsupported-encoding")
    assert "Content-Encoding" in answer.json()["detail"]
    assert "unpack" in answer.json()["detail"]
    assert answer.headers["accept-encoding"] == "identity"  # RFC 9110, 12.5.3
    assert not gateway.stored()


@pytest.mark.parametrize("encoding", ["identity", "", "Identity"])
def test_a_body_that_is_not_compressed_may_say_so(gateway: Running, encoding: str) -> None:
    assert gateway.http.post("/v1/images", content=png(), headers={"Content-Encoding": encoding}).is_success


def test_a_packed_file_is_named(gateway: Running) -> None:
    answer = gateway.http.post("/v1/images", content=gzip.compress(png()))
    assert (answer.status_code, problem(answer)) == (415, "not-an-image")
    assert "gzip" in answer.json()["detail"]


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_a_file_of_a_form_is_not_decoded(gateway: Running, encoding: str) -> None:
    header = f"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()
    body = part("image", base64.b64encode(png()), "a.png").replace(b"\r\n\r\n", header, 1)
    answer = gateway.http.post("/v1/images", content=body + END, headers=FORM)
    assert (answer.status_code, problem(answer)) == (415, "unsupported-encoding")
    assert encoding in answer.json()["detail"]


def test_a_data_url_in_a_form_gets_the_hint_too(gateway: Running) -> None:
    answer = gateway.http.post("/v1/images", content=part("image", b"data:image/png;base64,iV") + END, headers=FORM)
    assert (answer.status_code, problem(answer)) == (415, "not-an-image")
    assert "data URL" in answer.json()["detail"]


def test_files_within_one_part_get_a_hint(gateway: Running) -> None:
    """As ``curl -F image=@a.png,b.png`` sends them."""
    nested = part("image", b"--b\r\nContent-Disposition: attachment; filename=a.png\r\n\r\n" + png() + b"\r\n--b--")
    typed = nested.replace(b'"image"\r\n', b'"image"\r\nContent-Type: multipart/mixed; boundary=b\r\n')
    answer = gateway.http.post("/v1/images", content=typed + END, headers=FORM)
    assert (answer.status_code, problem(answer)) == (415, "not-an-image")
    assert "-F image=@A -F image=@B" in answer.json()["detail"]
