"""The original files of objects over HTTP: whole, and harmless in a browser."""

from __future__ import annotations

import pytest

from tests.contract.gateway.running import Running, png, problem
from workers.gateway.originals import SANDBOX, disposition

HTML = b"<!doctype html><script>alert(1)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
WHERE = "/v1/objects/inbox/{}:content"


def test_an_original_is_sent_whole_with_the_type_of_its_bytes(gateway: Running) -> None:
    gateway.tagged("in a folder/ä.png", "cat")
    (gateway.folder / "in a folder" / "ä.png").write_bytes(png("a"))
    answer = gateway.http.get(WHERE.format("in a folder/ä.png"))
    assert answer.status_code == 200
    assert answer.content == png("a")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == "inline; filename*=UTF-8''%C3%A4.png"
    saved = gateway.http.get(WHERE.format("in a folder/ä.png"), params={"download": "true"})
    assert saved.headers["content-disposition"].startswith("attachment;")
    known = gateway.http.get(WHERE.format("in a folder/ä.png"), headers={"If-None-Match": answer.headers["etag"]})
    assert known.status_code == 304


@pytest.mark.parametrize("data", [HTML, SVG, b"GIF but not quite" + HTML, b""])
def test_what_browsers_could_run_is_an_attachment_without_a_type(gateway: Running, data: bytes) -> None:
    gateway.tagged("cat.jpg", "cat")
    (gateway.folder / "cat.jpg").write_bytes(data)
    answer = gateway.http.get(WHERE.format("cat.jpg"))
    assert answer.content == data
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-security-policy"] == SANDBOX
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_name_cannot_add_to_the_headers() -> None:
    header = disposition('a/b";\r\nX-Evil: 1;\udc80.png', attachment=False)
    assert header == "inline; filename*=UTF-8''b%22%3B__X-Evil%3A%201%3B_.png"


def test_only_objects_that_are_tagged_have_one(gateway: Running) -> None:
    assert problem(gateway.http.get(WHERE.format("none.png"))) == "not-found"
    (gateway.folder / ".wildtag").mkdir(exist_ok=True)
    (gateway.folder / ".wildtag" / "statements.jsonl").write_bytes(b"{}")
    assert gateway.http.get(WHERE.format(".wildtag/statements.jsonl")).status_code == 404
