"""Teaching by example over HTTP, and deletion. No worker answers here, so the images like one are not known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.contract.gateway.running import Running, emptied, problem, running, wired
from workers.client import Client, Refused
from workers.gateway.api_keys import Scope
from workers.images.statement_journal import LABELS_MAX
from workers.lifecycle.statements import Statement
from workers.redis.rpc import RpcClient
from workers.wiring.operations import teacher

PARTITIONS = (1, 3)

OBJECTS = "/v1/objects/inbox"


class Nobody:
    """Takes requests and answers none."""

    def ask(self, queue: str, task: str, request: str, data: bytes, label: str, lifetime: float) -> None:
        pass


@pytest.fixture(scope="module")
def module_class(redis_url: str, tmp_path_factory: pytest.TempPathFactory, partitions: int) -> Iterator[Running]:
    prefix = "test:" if partitions == 1 else "{test}:"
    wiring = wired(tmp_path_factory.mktemp("home"), redis_url, key_prefix=prefix, partitions=partitions)
    impatient = RpcClient(Nobody(), wiring.redis, wiring.keys, patience_s=0.1)
    with running(wiring, replaced={"teacher": teacher(wiring, impatient)}) as gateway:
        yield gateway


@pytest.fixture
def gateway(module_class: Running) -> Running:
    emptied(module_class)
    return module_class


def say(gateway: Running, key: str, label: object, accepted: object = True, **headers: str) -> httpx.Response:
    body = {"label": label, "accepted": accepted}
    return gateway.http.post(f"{OBJECTS}/{quote(key)}:tag", json=body, headers=headers)


def labels(gateway: Running, key: str) -> list[str]:
    return [tag["label"] for tag in gateway.http.get(f"{OBJECTS}/{quote(key)}").json()["record"]["tags"]]


def test_a_label_is_accepted_rejected_and_taken_back(gateway: Running) -> None:
    gateway.tagged("2025/über cat.jpg", "cat", "sofa")
    answer = say(gateway, "2025/über cat.jpg", " Chelsea ")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["record"]["tags"][0] | {"source": "person", "label": "Chelsea"} == body["record"]["tags"][0]
    assert body["near"] == []
    assert "no response" in body["problem"]
    assert labels(gateway, "2025/über cat.jpg") == ["Chelsea", "cat", "sofa"]
    assert say(gateway, "2025/über cat.jpg", "sofa", False).json()["record"]["rejected"] == ["sofa"]
    (one, other) = gateway.http.get("/v1/statements").json()["statements"]
    assert (one["key"], one["label"], one["accepted"]) == ("2025/über cat.jpg", "Chelsea", True)
    assert (other["label"], other["accepted"], other["bucket"]) == ("sofa", False, "inbox")
    for label in ("chelsea", "sofas"):
        assert say(gateway, "2025/über cat.jpg", label, None).status_code == 200
    assert labels(gateway, "2025/über cat.jpg") == ["cat"]  # what was rejected comes with the next tagging
    assert gateway.http.get("/v1/statements").json() == {"statements": [], "cursor": None}


def test_no_more_labels_than_come_back_after_a_loss(gateway: Running) -> None:
    gateway.tagged("cat.jpg", "cat")
    statements = gateway.wiring.statements
    for number in range(LABELS_MAX):
        statements.change("inbox/cat.jpg", f"cat{number}", Statement(f"cat{number}", True, "e", 1.0))
    refused = say(gateway, "cat.jpg", "Chelsea")
    assert problem(refused) == "bad-request"
    assert "take one back" in refused.json()["detail"]
    assert say(gateway, "cat.jpg", "cat7", False).status_code == 200  # one that is known already
    assert say(gateway, "cat.jpg", "cat8", None).status_code == 200
    assert say(gateway, "cat.jpg", "Chelsea").status_code == 200


def test_who_polls_sees_that_something_was_said(gateway: Running) -> None:
    gateway.tagged("cat.jpg", "cat")
    before = gateway.http.get(f"{OBJECTS}/cat.jpg")
    same = gateway.http.get(f"{OBJECTS}/cat.jpg", headers={"If-None-Match": before.headers["ETag"]})
    assert same.status_code == 304
    say(gateway, "cat.jpg", "Chelsea")
    after = gateway.http.get(f"{OBJECTS}/cat.jpg", headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert after.headers["ETag"] != before.headers["ETag"]


def test_what_cannot_be_taught_is_refused_with_the_reason(gateway: Running) -> None:
    gateway.tagged("cat.jpg", "cat")
    gateway.tagged("broken.jpg", error="corrupt")
    unknown = say(gateway, "Cat.jpg", "Chelsea")
    assert (unknown.status_code, problem(unknown)) == (404, "not-found")
    assert "cat.jpg" in unknown.json()["detail"]  # a hint
    failed = say(gateway, "broken.jpg", "Chelsea")
    assert (failed.status_code, problem(failed)) == (409, "conflict")
    assert "is failed" in failed.json()["detail"]
    assert say(gateway, "cat.jpg", " - ").status_code == 400
    assert say(gateway, "cat.jpg", "").status_code == 422
    assert say(gateway, "cat.jpg", "Chelsea", "perhaps").status_code == 422
    assert gateway.http.post("/v1/objects/elsewhere/cat.jpg:tag", json={"label": "x"}).status_code == 404
    assert gateway.http.get("/v1/statements").json() == {"statements": [], "cursor": None}


def test_an_object_is_deleted_with_its_file(gateway: Running) -> None:
    gateway.tagged("a b/cat.jpg", "cat")
    assert gateway.http.delete(f"{OBJECTS}/a%20b/cat.jpg").status_code == 204
    assert not (gateway.folder / "a b" / "cat.jpg").exists()
    gateway.wiring.inbox.prepare()
    ((_, event),) = gateway.wiring.inbox.read("test", 10, None)
    assert (event.kind, event.key, event.requested) == ("removed", "a b/cat.jpg", True)
    missing = gateway.http.delete(f"{OBJECTS}/a%20b/cat.jpg")
    assert (missing.status_code, problem(missing)) == (404, "not-found")


def test_output_of_wildtag_is_not_deleted_as_an_object(gateway: Running) -> None:
    """The journal of statements lies in the bucket; only who may write to the bucket itself may change it."""
    gateway.tagged("cat.jpg", "cat")
    say(gateway, "cat.jpg", "Chelsea")
    journal = [info.ref.key for info in gateway.wiring.store.list("inbox", ".wildtag/statements/")]
    assert len(journal) == 1
    refused = gateway.http.delete(f"{OBJECTS}/{journal[0]}")
    assert (refused.status_code, problem(refused)) == (404, "ignored")
    assert [info.ref.key for info in gateway.wiring.store.list("inbox", ".wildtag/statements/")] == journal


def test_teaching_and_deleting_need_the_scope_to_write(
    redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    wiring = wired(tmp_path_factory.mktemp("locked"), redis_url, key_required=True, admin_key="an-admin-key-of-tests")
    with running(wiring) as locked:
        emptied(locked)
        locked.tagged("cat.jpg", "cat")
        reader = {"Authorization": f"Bearer {wiring.api_keys.create('reader', Scope.READ)}"}
        assert say(locked, "cat.jpg", "Chelsea").status_code == 401
        assert say(locked, "cat.jpg", "Chelsea", **reader).status_code == 403
        assert locked.http.delete(f"{OBJECTS}/cat.jpg", headers=reader).status_code == 403
        assert locked.http.get("/v1/statements").status_code == 401
        assert locked.http.get("/v1/statements", headers=reader).status_code == 200


def test_the_client_teaches_and_names_what_replaced_its_old_form(gateway: Running) -> None:
    gateway.tagged("2025/cat 1.jpg", "cat")
    with Client(gateway.url) as client:
        taught = client.teach("2025/cat 1.jpg", "Chelsea")
        assert [(tag.label, tag.source) for tag in taught.record.tags[:1]] == [("Chelsea", "person")]
        assert client.teach("2025/cat 1.jpg", "cat", accepted=False).record.rejected == ("cat",)
        assert [tag.label for tag in client.teach("2025/cat 1.jpg", "Chelsea", accepted=None).record.tags] == []
        with pytest.raises(Refused, match="does not exist"):
            client.teach("nothing.jpg", "Chelsea")
        for old in (["a photo of a Moka pot"], "cat"):
            with pytest.raises(TypeError, match="add_captions"):
                client.teach(old)


def test_a_misspelt_field_is_refused_and_accepts_nothing_that_was_meant_to_be_rejected(gateway: Running) -> None:
    gateway.tagged("misspelt.jpg", "cat")
    body = {"label": "dog", "acepted": False}
    answer = gateway.http.post(f"{OBJECTS}/misspelt.jpg:tag", json=body)
    assert (answer.status_code, problem(answer)) == (422, "invalid")
    assert answer.json()["errors"][0]["where"] == "body.acepted"
    assert labels(gateway, "misspelt.jpg") == ["cat"]


def test_statements_are_listed_in_pages_without_repeats_and_gaps_while_people_go_on(gateway: Running) -> None:
    statements = gateway.wiring.statements
    long = "x" * 1000
    said = [("a.jpg", "cat"), ("a.jpg", "Dogs"), ("ä/b.jpg", "sofa"), (long, "y" * 200), ("z.jpg", "cat")]
    for key, label in said:
        statements.change(f"inbox/{key}", label, Statement(label, True, "e", 1.0))

    def page(**params: Any) -> Any:
        answer = gateway.http.get("/v1/statements", params={"limit": 2, **params})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def named(body: Any) -> list[tuple[str, str]]:
        return [(one["key"], one["label"]) for one in body["statements"]]

    first = page()
    assert named(first) == [("a.jpg", "cat"), ("a.jpg", "Dogs")]
    statements.change("inbox/a.jpg", "dog", None)  # the last one of the page is taken back
    statements.change("inbox/0.jpg", "new", Statement("new", True, "e", 1.0))  # before it
    statements.change("inbox/m.jpg", "new", Statement("new", True, "e", 1.0))  # behind it
    second = page(cursor=first["cursor"])
    third = page(cursor=second["cursor"])
    rest = [("m.jpg", "new"), (long, "y" * 200), ("z.jpg", "cat"), ("ä/b.jpg", "sofa")]
    assert named(second) + named(third) == rest
    assert third["cursor"] is None
    assert named(page(limit=500)) == [("0.jpg", "new"), ("a.jpg", "cat"), *rest]


@pytest.mark.parametrize("cursor", ["x", "é", "W10", "WyJhIl0", "bnVsbA", "7"])
def test_a_cursor_that_is_none_is_refused(gateway: Running, cursor: str) -> None:
    answer = gateway.http.get("/v1/statements", params={"cursor": cursor})
    assert (answer.status_code, problem(answer)) == (400, "bad-request")
