"""An Idempotency-Key makes an upload that is repeated give the same image."""

from __future__ import annotations

import json
import socket

import pytest

from tests.contract.gateway.running import Running, digest, png, problem, received, status_of
from tests.contract.gateway.test_uploads import END, FORM, HEAD, LARGE, alone, part
from tests.eventually import eventually
from workers.redis.connection import Client
from workers.redis.keys import Keys


def test_the_same_request_again_gives_the_same_image(gateway: Running) -> None:
    headers = {"Idempotency-Key": "one"}
    first = gateway.http.post("/v1/images", content=LARGE, headers=headers)
    again = gateway.http.post("/v1/images", content=LARGE, headers=headers)
    formed = gateway.http.post("/v1/images", content=part("i", LARGE, "a") + END, headers=headers | FORM)
    assert {a.json()["id"] for a in (first, again, formed)} == {first.json()["id"]}
    assert alone(gateway) == LARGE
    other = gateway.http.post("/v1/images", content=png("other"), headers=headers)
    assert (other.status_code, problem(other)) == (422, "mismatch")
    assert gateway.http.post("/v1/images", content=LARGE, headers={"Idempotency-Key": "two"}).status_code == 202
    assert len(gateway.stored()) == 2


@pytest.mark.parametrize("key", ["", "x" * 201, "a b", "\xe9"])
def test_a_key_that_is_none_is_refused(gateway: Running, key: str) -> None:
    answer = gateway.http.post("/v1/images", content=png(), headers=[(b"Idempotency-Key", key.encode("latin-1"))])
    assert (answer.status_code, problem(answer)) == (400, "bad-request")


def test_while_a_request_is_at_work_its_key_is_taken(gateway: Running) -> None:
    head = f"{HEAD}Content-Length: {len(LARGE)}\r\nIdempotency-Key: k\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port)) as first:
        first.sendall(head.encode() + LARGE[:300_000])
        eventually(gateway.stored)
        second = gateway.http.post("/v1/images", content=LARGE, headers={"Idempotency-Key": "k"})
        assert (second.status_code, problem(second), second.headers["retry-after"]) == (409, "conflict", "1")
        first.sendall(LARGE[300_000:])
        first.shutdown(socket.SHUT_WR)
        assert status_of(received(first)) == 202
    assert gateway.http.post("/v1/images", content=LARGE, headers={"Idempotency-Key": "k"}).status_code == 202
    assert alone(gateway) == LARGE


def test_a_claim_of_a_killed_gateway_ends_by_itself(gateway: Running, client: Client, keys: Keys) -> None:
    """Who claimed is gone: for some time nobody gets the key, and then it is free."""
    name = keys.idempotency(digest(b"\nk"))
    client.set(name, b'{"id":"","digest":""}', px=400)
    headers = {"Idempotency-Key": "k"}
    assert gateway.http.post("/v1/images", content=png(), headers=headers).status_code == 409
    eventually(lambda: gateway.http.post("/v1/images", content=png(), headers=headers).status_code == 202)
    assert len(gateway.stored()) == 1
    assert 80_000 < client.ttl(name) <= 86_400


def test_the_memory_of_an_upload_is_understood_by_a_later_gateway(
    gateway: Running, client: Client, keys: Keys
) -> None:
    """The literal form is kept for a day, over an update too; a changed form must still read it."""
    body, headers = png("kept"), {"Idempotency-Key": "k"}
    first = gateway.http.post("/v1/images", content=body, headers=headers).json()["id"]
    name = keys.idempotency(digest(b"\nk"))
    assert json.loads(client.get(name) or b"") == {"id": first, "digest": digest(body)}

    older = {"Idempotency-Key": "older"}
    client.set(keys.idempotency(digest(b"\nolder")), f'{{"id":"{first}","digest":"{digest(body)}"}}')
    again = gateway.http.post("/v1/images", content=body, headers=older)
    assert (again.status_code, again.json()["id"]) == (202, first)
    other = gateway.http.post("/v1/images", content=png("other"), headers=older)
    assert (other.status_code, problem(other)) == (422, "mismatch")
    assert len(gateway.stored()) == 1
