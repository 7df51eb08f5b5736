"""Uploads keep the name of their file, the client's own id and its metadata, in the store."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tasks.message_parts import UserMetadata
from tests.contract.gateway.running import Running, png, problem
from tests.contract.gateway.test_uploads import END, FORM, LARGE, part

TEXTS = {"title": "Sonnenuntergang in Köln, 日本", "Order": "A-17"}


def kept(gateway: Running) -> UserMetadata | None:
    """What the store has beside the only upload."""
    (path,) = gateway.stored()
    info = gateway.wiring.store.stat(gateway.wiring.settings.bucket, f"uploads/{path.name}")
    assert info is not None
    return info.user_metadata


@pytest.mark.parametrize("image", [png("small"), LARGE], ids=["small", "large"])
def test_parameters_describe_a_raw_body(gateway: Running, image: bytes) -> None:
    params = {"file_name": "Käse.jpg", "client_id": "4711/ü", "metadata": json.dumps(TEXTS)}
    assert gateway.http.post("/v1/images", content=image, params=params).status_code == 202
    assert kept(gateway) == UserMetadata("Käse.jpg", "4711/ü", tuple(sorted(TEXTS.items())))


@pytest.mark.parametrize("image", [png("small"), LARGE], ids=["small", "large"])
def test_fields_of_a_form_describe_its_file(gateway: Running, image: bytes) -> None:
    form = part("client_id", b"7") + part("metadata", json.dumps(TEXTS, ensure_ascii=False).encode())
    form += part("other", b"a field of somebody") + part("image", image, "C:\\photos\\Käse.png") + END
    assert gateway.http.post("/v1/images", content=form, headers=FORM).status_code == 202
    assert kept(gateway) == UserMetadata("Käse.png", "7", tuple(sorted(TEXTS.items())))


def test_a_name_that_is_given_comes_before_that_of_the_file(gateway: Running) -> None:
    form = part("file_name", b"mine.png") + part("image", png(), "other.png") + END
    assert gateway.http.post("/v1/images", content=form, headers=FORM).status_code == 202
    assert kept(gateway) == UserMetadata("mine.png")


def test_a_name_that_is_given_in_the_extended_notation_only(gateway: Running) -> None:
    """Clients of Java and .NET send it so."""
    plain, extended = b'filename="x.png"', b"filename*=utf-8''K%C3%A4se.png"
    form = part("image", png(), "x.png").replace(plain, extended) + END
    assert extended in form
    assert gateway.http.post("/v1/images", content=form, headers=FORM).status_code == 202
    assert kept(gateway) == UserMetadata("Käse.png")


def test_an_upload_without_any_has_none(gateway: Running) -> None:
    gateway.upload()
    assert kept(gateway) is None


@pytest.mark.parametrize(
    ("params", "where", "reason"),
    [
        ({"metadata": '{"a": "' + "x" * 2048 + '"}'}, "metadata", "2,049 bytes; the limit is 2,048"),
        ({"metadata": '{"a": 1}'}, "metadata", "the value of 'a' is a number, not a text"),
        ({"metadata": '{"a": "b\\nc"}'}, "metadata", "U+000A"),
        ({"metadata": '["a"]'}, "metadata", "not a JSON object"),
        ({"metadata": "title=Sunset"}, "metadata", "not JSON"), ({"client_id": "a\x07"}, "client_id", "U+0007"),
        ({"metadata": '{"a": "1", "a": "2"}'}, "metadata", "'a' is given twice"),
        ({"metadata": '{"a": "\\ud800"}'}, "metadata", "U+D800"), ({"metadata": "[" * 2000}, "metadata", "not JSON"),
        ({"metadata": '{"a": {"b": "c"}}'}, "metadata", "an object"), ({"file_name": "a\tb"}, "file_name", "U+0009"),
    ],
)  # fmt: skip
def test_what_cannot_be_stored_is_refused_and_nothing_is_kept(
    gateway: Running, params: dict[str, str], where: str, reason: str
) -> None:
    answer = gateway.http.post("/v1/images", content=png(), params=params)
    form = b"".join(part(name, value.encode()) for name, value in params.items()) + part("i", png(), "a.png") + END
    formed = gateway.http.post("/v1/images", content=form, headers=FORM)
    for one in (answer, formed):
        assert (one.status_code, problem(one)) == (422, "invalid")
        (error,) = one.json()["errors"]
        assert error["where"] == where
        assert reason in error["reason"]
    assert not gateway.stored()


@pytest.mark.parametrize("image", [png("small"), LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    ("before", "behind", "query", "reason"),
    [
        (b"", part("metadata", b"{}"), {}, "the field metadata comes after the file"),
        (part("client_id", b"1") * 2, b"", {}, "has the field client_id twice"),
        (part("client_id", b"1"), b"", {"client_id": "2"}, "client_id is given twice"),
    ],
)  # fmt: skip
def test_a_form_that_can_be_read_in_two_ways_is_refused(
    gateway: Running, image: bytes, before: bytes, behind: bytes, query: dict[str, str], reason: str
) -> None:
    form = before + part("image", image, "a.png") + behind + END
    answer = gateway.http.post("/v1/images", content=form, headers=FORM, params=query)
    assert (answer.status_code, problem(answer)) == (400, "bad-request")
    assert reason in answer.json()["detail"]
    assert not gateway.stored()


def test_a_repeated_request_is_one_upload_if_its_metadata_is_the_same(gateway: Running) -> None:
    def sent(**params: Any) -> Any:
        return gateway.http.post("/v1/images", content=png(), params=params, headers={"Idempotency-Key": "k"})

    first = sent(client_id="1", metadata='{"a": "b", "c": "d"}', file_name="a.png")
    again = sent(client_id="1", metadata='{"c":"d","a":"b"}', file_name="b.png")
    assert first.json()["id"] == again.json()["id"]
    other = sent(client_id="2", metadata='{"a": "b", "c": "d"}')
    assert (other.status_code, problem(other)) == (422, "mismatch")
    assert len(gateway.stored()) == 1


def test_deleting_an_upload_deletes_what_is_beside_it(gateway: Running) -> None:
    answer = gateway.http.post("/v1/images", content=png(), params={"client_id": "1"})
    beside = gateway.folder / ".wildtag" / ".metadata"
    assert [path.name for path in beside.rglob("*.json")] == [f"{answer.json()['id']}.json"]
    assert gateway.http.delete(f"/v1/images/{answer.json()['id']}").status_code == 204
    assert not list(beside.rglob("*.json"))
