"""Finding objects by their tags, and how the whole stands."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.contract.gateway.running import Json, Running
from tests.contract.stored_records import damage
from workers.dispatch.retag import Selection, selected
from workers.events.sink import ReceivedEvents
from workers.lifecycle.record import Evidence

PARTITIONS = (1, 3)


def pages(gateway: Running, path: str, field: str, limit: int) -> list[Json]:
    """All rows of a list, page by page; that all but the last are full is asserted."""
    found: list[Json] = []
    cursor = None
    while True:
        page = gateway.http.get(path, params={"limit": limit, **({"cursor": cursor} if cursor else {})}).json()
        assert len(page[field]) == limit or page["cursor"] is None
        found += page[field]
        cursor = page["cursor"]
        if cursor is None:
            return found


def test_tags_are_listed_with_their_objects_the_most_frequent_first(gateway: Running) -> None:
    for number in range(6):
        gateway.tagged(f"{number}.png", *["cat", "catamaran", "dog"][: 1 + number // 2])
    rows = pages(gateway, "/v1/tags", "tags", 2)
    counted = [(row["label"], row["objects"]) for row in rows if row["objects"]]
    assert counted == [("cat", 6), ("catamaran", 4), ("dog", 2)]
    assert counted == [(row["label"], row["objects"]) for row in rows[:3]]  # what is only implied comes last
    assert {row["label"]: row["implied"] for row in rows}["animal"] == 6
    for prefix, labels in (("cat", ["cat", "catamaran"]), ("CAT", ["cat", "catamaran"]), ("cats", ["cat"])):
        answer = gateway.http.get("/v1/tags", params={"prefix": prefix}).json()
        assert [row["label"] for row in answer["tags"]] == labels
    assert gateway.http.get("/v1/tags", params={"prefix": "x"}).json() == {"tags": [], "cursor": None}


@pytest.mark.parametrize("label", ["black cat", "größe", "猫", "50%", "and/or", "?", "a#b", "..", "cat:events"])
def test_objects_are_found_by_any_tag(gateway: Running, label: str) -> None:
    gateway.tagged("a.png", "other", label)
    gateway.tagged("b.png", label)
    path = f"/v1/tags/{quote(label, safe='')}/objects" if label != ".." else "/v1/tags/%2e%2e/objects"
    status, body = gateway.get(path)
    assert (status, body["label"], body["cursor"]) == (200, label, None)
    rows = [(row["tag"], round(row["score"], 3), row["record"]["key"]) for row in body["objects"]]
    assert rows == [(label, 0.9, "b.png"), (label, 0.8, "a.png")]
    _, best = gateway.get(f"{path}?min_score=0.85")
    assert [row["record"]["key"] for row in best["objects"]] == ["b.png"]


def test_objects_with_a_tag_come_in_pages(gateway: Running) -> None:
    for number in range(5):
        gateway.tagged(f"{number}.png", "cat")
    rows = pages(gateway, "/v1/tags/cat/objects", "objects", 2)
    assert sorted(row["record"]["key"] for row in rows) == [f"{number}.png" for number in range(5)]
    none: dict[str, object] = {"label": "none", "objects": [], "cursor": None, "hint": "no image has the tag 'none'"}
    assert gateway.http.get("/v1/tags/none/objects").json() == none


def test_one_thing_is_one_tag(gateway: Running) -> None:
    """In any spelling, by the broader noun and the head noun; and so ``retag --tag`` selects."""
    gateway.tagged("pyramid.png", "Egyptian cats", evidence=(Evidence("Egyptian cat, a kind of domestic cat", 0.5),))
    gateway.tagged("home.png", "sofa", "cat")
    gateway.tagged("dog.png", "hot dog")
    for spelling in ("egyptian cat", "EGYPTIAN CATS", "egyptian-cat", "egyptian  cat", "Egyptian_Cat"):
        answer = gateway.http.get(f"/v1/tags/{quote(spelling)}/objects").json()
        assert answer["label"] == "Egyptian cats"
        (one,) = answer["objects"]
        assert (one["record"]["key"], one["implied"], one["segment"]) == ("pyramid.png", False, False)
    for spelling in ("cat", "CATS", "Cat"):
        objects = gateway.http.get(f"/v1/tags/{spelling}/objects").json()["objects"]
        assert [(one["record"]["key"], one["tag"], one["implied"]) for one in objects] == [
            ("home.png", "cat", False), ("pyramid.png", "Egyptian cats", True)
        ]  # fmt: skip
        assert (objects[1]["confidence"], objects[1]["score"]) == (None, 0.9)
        chosen = selected(gateway.wiring.records, Selection("inbox", tag=spelling))
        assert sorted(key for page in chosen for key in page) == ["home.png", "pyramid.png"]
    (one,) = gateway.http.get("/v1/tags/domestic-cats/objects").json()["objects"]
    assert (one["record"]["key"], one["tag"], one["implied"]) == ("pyramid.png", "Egyptian cats", True)
    assert not gateway.http.get("/v1/tags/dog/objects").json()["objects"]
    gateway.wiring.ledger.remove(["inbox/pyramid.png"])
    assert not gateway.http.get("/v1/tags/egyptian cat/objects").json()["objects"]


@pytest.mark.parametrize("score", ["nan", "inf", "-0.1", "1.1", "x"])
def test_a_score_that_is_none_is_refused(gateway: Running, score: str) -> None:
    assert gateway.http.get(f"/v1/tags/cat/objects?min_score={score}").status_code == 422


def test_the_status_counts_what_waits_and_what_is_finished(gateway: Running) -> None:
    gateway.tagged("a.png", "cat")
    gateway.tagged("b.png", error="unreadable")
    gateway.enter(gateway.put("c.png"))
    gateway.upload()
    gateway.wiring.health.beat("scoring")
    status = gateway.http.get("/v1/status").json()
    counts = {name: count for name, count in status["counts"].items() if count}
    assert counts == {"inbox": 1, "in_flight": 1, "done": 1, "failed": 1}
    assert 0 <= status["seconds_since_progress"]["scoring"] < 20
    assert status["bucket"] == "inbox"


def test_metrics_count_by_route_and_never_name_a_key(gateway: Running) -> None:
    gateway.tagged("secret-name.png", "cat")
    gateway.http.get("/v1/objects/inbox/secret-name.png")
    gateway.http.get("/v1/nothing-here")
    answer = gateway.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "secret-name" not in answer.text
    assert "nothing-here" not in answer.text
    for line in (
        'wildtag_http_requests_total{method="GET",route="/v1/objects/{bucket}/{key:path}",status="200"}',
        'wildtag_objects{state="done"} 1.0', "wildtag_redis_up 1.0", "wildtag_event_streams 0.0",
    ):  # fmt: skip
        assert line in answer.text, line


def test_metrics_say_whether_each_source_of_events_works(gateway: Running) -> None:
    gateway.wiring.sources.note("listen", "deaf", "no sign of life")
    gateway.wiring.sources.note("sweep", "working")
    gateway.wiring.event_sink.store([ReceivedEvents(counts={"listen:deaf": 2, "webhook:ignored:folder-marker": 1})])
    metrics = gateway.http.get("/metrics").text
    for line in (
        'wildtag_event_source_works{source="listen"} 0.0', 'wildtag_event_source_works{source="sweep"} 1.0',
        'wildtag_events_received_total{outcome="deaf",source="listen"} 2.0',
        'wildtag_events_received_total{outcome="ignored:folder-marker",source="webhook"} 1.0',
    ):  # fmt: skip
        assert line in metrics, metrics


def test_a_damaged_record_damages_no_list(gateway: Running) -> None:
    good, bad = (gateway.tagged(f"list/{name}.png", "yak") for name in ("good", "bad"))
    damage(gateway.wiring.redis, gateway.keys_of(bad.id), bad.id, b'{"bucket":')
    objects = gateway.http.get("/v1/objects").json()["objects"]
    assert [one["key"] for one in objects if one["key"].startswith("list/")] == [good.key]
    assert [one["record"]["key"] for one in gateway.http.get("/v1/tags/yak/objects").json()["objects"]] == [good.key]
    assert gateway.http.get(f"/v1/objects/inbox/{bad.key}").json()["state"] == "queued"
