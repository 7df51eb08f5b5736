"""Pages have no repeats and no gaps while things come, go and are tagged again; other cursors are refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.gateway.running import Json, Running, problem

KEYS = [f"{number}.png" for number in range(7)]


def pages(gateway: Running, path: str, name: str, between: Callable[[int], None], **params: Any) -> list[Json]:
    """The items of all pages. ``between``: called with the number of items before each further page."""
    found: list[Json] = []
    cursor: str | None = None
    while True:
        answer = gateway.http.get(path, params=params | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        found += answer.json()[name]
        cursor = answer.json()["cursor"]
        if cursor is None:
            return found
        between(len(found))


def tagged(gateway: Running) -> Callable[[int], None]:
    """Seven images with one tag; returns what happens between two pages."""
    refs = [gateway.tagged(key, *["cat", "dog"][:: 1 if number % 2 else -1]) for number, key in enumerate(KEYS)]

    def between(count: int) -> None:
        gateway.tagged(f"new {count}.png", "cat")
        for number in (0, 3, 5, 6):  # their confidences change as well
            gateway.enter(refs[number], force=True)
            gateway.finish(refs[number], *["cat", "dog"][:: -1 if (number + count) % 2 else 1])
        gateway.http.delete("/v1/objects/inbox/2.png")

    return between


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("path", ["/v1/objects", "/v1/tags/cat/objects"])
def test_each_image_that_stays_is_listed_once(gateway: Running, path: str, size: int) -> None:
    rows = pages(gateway, path, "objects", tagged(gateway), limit=size)
    keys = [row.get("record", row)["key"] for row in rows]
    assert len(keys) == len(set(keys))
    assert {key for key in KEYS if key != "2.png"} <= set(keys)


def test_each_tag_that_stays_is_listed_once(gateway: Running) -> None:
    for number, label in enumerate(["cat", "dog", "sofa", "tree", "lamp"]):
        gateway.tagged(f"{label}.png", *["zebra", label][: 1 + (number > 0)])

    def between(count: int) -> None:  # rare ones become frequent
        gateway.tagged(f"{count}.png", ["lamp", "tree", "sofa"][count % 3], f"new {count}")

    labels = [row["label"] for row in pages(gateway, "/v1/tags", "tags", between, limit=1)]
    assert len(labels) == len(set(labels))
    assert {"zebra", "dog", "sofa", "tree", "lamp"} <= set(labels)


def test_cursors_of_other_lists_and_of_other_parameters_are_refused(gateway: Running) -> None:
    tagged(gateway)
    lists: list[tuple[str, dict[str, str]]] = [
        ("/v1/objects", {}), ("/v1/objects", {"state": "done"}), ("/v1/tags", {}), ("/v1/tags/cat/objects", {}),
        ("/v1/tags/dog/objects", {}), ("/v1/tags/cat/objects", {"min_score": "0.1"}),
    ]  # fmt: skip
    cursors = [gateway.http.get(path, params={**given, "limit": 1}).json()["cursor"] for path, given in lists]
    assert None not in cursors
    others = ["50", "x", "é", "0" * 32 + "-1", f"{cursors[0]}=", f"{cursors[0]}A"]
    for path in ("/v1/objects", "/v1/tags", "/v1/tags/cat/objects", "/v1/statements", "/v1/duplicates"):
        mine = [cursor for (of, given), cursor in zip(lists, cursors, strict=True) if (of, given) == (path, {})]
        for cursor in (*others, *cursors):
            answer = gateway.http.get(path, params={"cursor": cursor})
            if cursor in mine:
                assert answer.status_code == 200
            else:
                assert (answer.status_code, problem(answer)) == (400, "bad-request"), (path, cursor)
                assert "cursor" in answer.json()["detail"]


def test_a_list_that_is_no_longer_kept_is_told(gateway: Running) -> None:
    tagged(gateway)
    path = "/v1/tags/cat/objects"
    first = gateway.http.get(path, params={"limit": 1}).json()["cursor"]
    second = gateway.http.get(path, params={"limit": 1, "cursor": first}).json()["cursor"]
    for key in gateway.wiring.redis.scan_iter("*search:*"):
        gateway.wiring.redis.delete(key)
    answer = gateway.http.get(path, params={"limit": 1, "cursor": second})
    assert (answer.status_code, problem(answer)) == (410, "expired")


def test_records_without_evidence_and_with_some_fields(gateway: Running) -> None:
    gateway.tagged("a.png", "cat")
    places: list[tuple[str, Callable[[Json], Json]]] = [
        ("/v1/objects", lambda body: body["objects"][0]), ("/v1/objects/inbox/a.png", lambda body: body["record"]),
        ("/v1/tags/cat/objects", lambda body: body["objects"][0]["record"]),
    ]  # fmt: skip
    for path, of in places:
        brief = of(gateway.http.get(path, params={"view": "brief"}).json())
        assert "evidence" not in str(brief)
        assert brief["tags"][0]["label"] == "cat"
        some = of(gateway.http.get(path, params={"fields": "key,tags"}).json())
        assert set(some) == {"key", "tags"}
        assert set(of(gateway.http.get(path, params={"fields": ["key", "state"]}).json())) == {"key", "state"}
        for wrong in ({"fields": "tagz"}, {"fields": "key,"}, {"fields": ""}, {"view": "short"}):
            answer = gateway.http.get(path, params=wrong)
            if wrong == {"fields": "key,"}:
                assert answer.status_code == 200
                continue
            assert (answer.status_code, problem(answer)) == (422, "invalid"), wrong
    assert "tags" in gateway.http.get("/v1/objects", params={"fields": "tagz"}).json()["detail"]
    (hit,) = gateway.http.get("/v1/search", params={"tag": "cat", "fields": "key,score"}).json()["images"]
    assert hit == {"key": "a.png", "score": 0.0}
    assert gateway.http.get("/v1/search", params={"tag": "cat", "fields": "evidence"}).status_code == 422


def test_times_are_rfc_3339_in_utc_with_milliseconds(gateway: Running) -> None:
    ref = gateway.tagged("a.png", "cat")
    body = gateway.http.get("/v1/objects/inbox/a.png").json()
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"

    assert re.fullmatch(stamp, body["finished_at"])
    assert body["record"]["finished_at"] == body["finished_at"]
    (record,) = gateway.wiring.records.get([ref.id])
    assert record is not None
    for since in (body["finished_at"], repr(record.finished_at), body["finished_at"].replace("Z", "+00:00")):
        answer = gateway.http.get("/v1/objects/inbox/a.png", params={"since": since})
        assert answer.json()["state"] == "queued", since  # not later
    assert gateway.http.get(f"/v1/objects/inbox/a.png?since={record.finished_at - 1}").json()["state"] == "done"
    for wrong in ("2026-01-01", "2026-01-01T00:00:00", "99999999999999", "tomorrow"):
        answer = gateway.http.get("/v1/objects/inbox/a.png", params={"since": wrong})
        assert (answer.status_code, problem(answer)) == (422, "invalid"), wrong
