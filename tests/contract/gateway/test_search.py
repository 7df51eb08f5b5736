"""Images are found by text, by image and by filters; pages are stable; records decide what is shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from tasks.message_parts import Media, ObjectRef
from tests.acceptance.images import huge_png
from tests.contract.gateway.running import Json, Running, emptied, problem, running, wired
from tests.contract.searching_world import BLUE, GREEN, RED, Colour, SearchingWorld, picture, reddish
from vectordb.images import image_id
from workers.redis.rpc import RpcClient
from workers.wiring.operations import finder

PATIENCE_S = 0.5


@contextmanager
def searching(home: Path, redis_url: str) -> Iterator[Running]:
    """A gateway whose workers answer searches."""
    wiring = wired(home, redis_url, SearchingWorld, max_object_bytes=600_000)
    rpc = RpcClient(cast("SearchingWorld", wiring).publisher, wiring.redis, wiring.keys, PATIENCE_S)
    with running(wiring, replaced={"finder": finder(wiring, rpc)}) as gateway:
        yield gateway


def cleared(gateway: Running) -> Running:
    """The gateway over an empty bucket and an empty index of images, whose workers answer."""
    emptied(gateway)
    world = world_of(gateway)
    world.away.clear()
    world.index.remove([entry.id for entries, _ in world.index.pages() for entry in entries])
    return gateway


@pytest.fixture(scope="module")
def module_world(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with searching(tmp_path_factory.mktemp("home"), redis_url) as gateway:
        yield gateway


@pytest.fixture
def gateway(module_world: Running) -> Running:
    return cleared(module_world)


def world_of(gateway: Running) -> SearchingWorld:
    return cast("SearchingWorld", gateway.wiring)


def add(
    gateway: Running, key: str, colour: Colour, *labels: str, taken_at: str | None = None, **more: Any
) -> ObjectRef:
    """A tagged image of the bucket that is in the index."""
    ref = gateway.put(key, picture(colour))
    gateway.enter(ref)
    media = Media(format="PNG", width=20, height=20, bytes=100, taken_at=taken_at)
    world_of(gateway).indexed(ref, gateway.finish(ref, *labels, media=media, **more), picture(colour))
    return ref


def search(gateway: Running, **params: Any) -> Json:
    answer = gateway.http.get("/v1/search", params=params)
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


def keys(page: Json) -> list[str]:
    return [image["key"] for image in page["images"]]


def all_pages(gateway: Running, page: Json) -> list[str]:
    found = keys(page)
    while page["cursor"]:
        page = search(gateway, cursor=page["cursor"])
        found += keys(page)
    return found


def test_a_text_finds_what_the_images_show_and_says_why(gateway: Running) -> None:
    add(gateway, "a.png", RED, "pet")
    add(gateway, "my_cat.png", BLUE, "bridge")
    add(gateway, "c.png", GREEN, "banana", "Egyptian cat")
    page = search(gateway, q="cats")
    assert (page["found_by"], page["truncated"], page["cursor"]) == ("text", False, None)
    found = {image["key"]: image for image in page["images"]}
    assert set(found) == {"a.png", "my_cat.png", "c.png"}
    assert found["a.png"]["similarity"] == pytest.approx(0.93, abs=0.05)
    assert (found["a.png"]["tags"], found["a.png"]["words"]) == ([], [])
    assert (found["my_cat.png"]["tags"], found["my_cat.png"]["words"]) == ([], ["cat"])
    assert found["c.png"]["tags"] == ["Egyptian cat"]
    assert [tag["label"] for tag in found["c.png"]["all_tags"]] == ["banana", "Egyptian cat"]
    assert keys(search(gateway, q="bridge"))[0] == "my_cat.png"


def test_the_name_of_a_file_finds_it_first_though_it_is_a_number(gateway: Running) -> None:
    add(gateway, "p016.png", BLUE, "bridge", file_name="p017.JPG")
    for number in range(5):
        add(gateway, f"uploads/{number:032x}.jpg", RED, "pet", file_name=f"p01{number}.jpg")
    add(gateway, f"uploads/{17:032x}.jpg", GREEN, "banana", file_name="p017.jpg")
    add(gateway, "folder/my photo 1.jpg", BLUE, "bridge")
    page = search(gateway, q="p017.jpg", limit=3)
    assert keys(page)[:2] == [f"uploads/{17:032x}.jpg", "p016.png"]
    scores = [image["score"] for image in page["images"]]
    assert scores == sorted(scores, reverse=True)
    assert keys(search(gateway, q="my photo 1.jpg"))[0] == "folder/my photo 1.jpg"
    assert keys(search(gateway, q='"p013.jpg"')) == [f"uploads/{3:032x}.jpg"]


def test_an_object_finds_what_looks_like_it_without_itself(gateway: Running) -> None:
    for lean in (0, 40, 80):
        add(gateway, f"red-{lean}.png", reddish(lean))
    add(gateway, "blue.png", BLUE)
    page = search(gateway, like="red-0.png")
    assert page["found_by"] == "image"
    assert keys(page) == ["red-40.png", "red-80.png", "blue.png"]
    assert page["images"][0]["similarity"] > page["images"][1]["similarity"]


def test_an_uploaded_image_finds_what_looks_like_it_and_is_not_kept(gateway: Running) -> None:
    add(gateway, "red.png", RED, "cat")
    add(gateway, "blue.png", BLUE, "bridge")
    answer = gateway.http.post("/v1/search", content=picture(reddish(10)), params={"limit": 1})
    assert answer.status_code == 200, answer.text
    assert keys(answer.json()) == ["red.png"]
    assert keys(search(gateway, cursor=answer.json()["cursor"])) == ["blue.png"]
    form = gateway.http.post("/v1/search", files={"image": picture(BLUE)}, params={"tag": "cat"})
    assert keys(form.json()) == ["red.png"]
    assert gateway.stored() == []
    assert list(gateway.wiring.redis.scan_iter("test:query-image:*")) == []


@pytest.mark.parametrize(
    ("body", "status", "name", "code"),
    [
        (b"no image", 415, "not-an-image", None), (picture(RED)[:60], 422, "bad-image", "truncated"),
        (huge_png(), 422, "bad-image", "too-many-pixels"), (b"", 400, "bad-request", None),
        (picture(RED).ljust(600_001, b"\0"), 413, "too-large", None),
    ],
    ids=["text", "truncated", "huge", "nothing", "too large"],
)  # fmt: skip
def test_what_is_no_usable_image_is_refused_as_an_upload_or_a_record_would(
    gateway: Running, body: bytes, status: int, name: str, code: str | None
) -> None:
    answer = gateway.http.post("/v1/search", content=body)
    assert (answer.status_code, problem(answer), answer.json().get("code")) == (status, name, code)


def test_filters_hold_for_every_way_to_search(gateway: Running) -> None:
    add(gateway, "one/a.png", RED, "Egyptian cat", "pet", taken_at="2024-05-01T10:00:00")
    add(gateway, "one/b.png", reddish(20), "cat", taken_at="2024-05-02T23:30:00")
    add(gateway, "two/c.png", reddish(40), "dog", taken_at="2024-06-01T10:00:00+02:00")
    add(gateway, "two/d.png", reddish(60), "dog")
    cases: list[tuple[Json, list[str]]] = [
        ({"tag": "cats"}, ["one/a.png", "one/b.png"]),
        ({"tag": ["CAT", "pets"]}, ["one/a.png"]),
        ({"not_tag": "cat"}, ["two/c.png", "two/d.png"]),
        ({"tag": "cat", "not_tag": ["pet", "dog"]}, ["one/b.png"]),
        ({"prefix": "two/"}, ["two/c.png", "two/d.png"]),
        ({"prefix": "two/", "bucket": gateway.options.bucket}, ["two/c.png", "two/d.png"]),
        ({"bucket": "other", "tag": "cat"}, []),
        ({"after": "2024-05-02"}, ["one/b.png", "two/c.png"]),
        ({"before": "2024-05-02"}, ["one/a.png", "one/b.png"]),
        ({"after": "2024-05-01T10:00:00Z", "before": "2024-05-01T12:00:00+02:00"}, ["one/a.png"]),
        ({"after": "2024-06-01T08:00:01Z"}, []),
    ]
    for filters, expected in cases:
        assert sorted(keys(search(gateway, q="cat", **filters))) == expected, filters
        answer = gateway.http.post("/v1/search", content=picture(RED), params=filters)
        assert keys(answer.json()) == expected, filters
        listed = search(gateway, **filters)
        assert keys(listed) == expected[::-1], filters  # those that were tagged last first
        assert listed["found_by"] == "filters"


def test_filters_alone_need_no_worker(gateway: Running) -> None:
    add(gateway, "a.png", RED, "cat")
    world_of(gateway).away |= {"retrieval", "scoring", "embedding"}
    assert keys(search(gateway, tag="cat")) == ["a.png"]


def test_an_image_whose_record_differs_is_left_out_and_pages_are_full(gateway: Running) -> None:
    refs = {name: add(gateway, f"{name}.png", reddish(n * 10), "cat") for n, name in enumerate("abcdef")}
    gateway.wiring.ledger.remove([refs["a"].id])  # removed, and the index was not told
    changed = gateway.put("b.png", picture(BLUE))  # another version
    gateway.enter(changed)
    gateway.finish(changed, "bridge")
    gateway.enter(refs["c"], force=True)  # tagged again, otherwise
    gateway.finish(refs["c"], "dog")
    first = search(gateway, q="cat", tag="cat", limit=2)
    assert sorted(all_pages(gateway, first)) == ["d.png", "e.png", "f.png"]
    assert len(keys(first)) == 2
    assert sorted(keys(search(gateway, q="cat"))) == ["c.png", "d.png", "e.png", "f.png"]


def test_pages_have_no_repeats_and_no_gaps_while_images_come_and_go(gateway: Running) -> None:
    refs = {f"{n:02}.png": add(gateway, f"{n:02}.png", reddish(n * 5), "cat") for n in range(12)}
    for asked in ({"q": "cat"}, {"tag": "cat"}, {"like": "00.png"}):
        first = search(gateway, limit=4, **asked)
        whole = all_pages(gateway, search(gateway, limit=100, **asked))
        assert keys(first) == whole[:4]
        new = add(gateway, "new.png", RED, "cat")
        gateway.enter(refs[whole[5]], force=True)
        gateway.finish(refs[whole[5]], "cat", "pet")
        gone = refs[whole[6]]
        gateway.wiring.ledger.remove([gone.id])
        again = search(gateway, limit=4, cursor=first["cursor"], **asked)
        assert len(keys(again)) == 4  # full, in spite of what is gone
        rest = all_pages(gateway, again)
        assert keys(first) + rest == [key for key in whole if key != gone.key], asked
        gateway.wiring.ledger.remove([new.id])
        world_of(gateway).index.remove([image_id(new.bucket, new.key)])
        gateway.enter(gone)
        gateway.finish(gone, "cat")


def test_a_cursor_of_another_search_or_an_old_one_is_refused(gateway: Running) -> None:
    for n in range(3):
        add(gateway, f"{n}.png", reddish(n), "cat")
    cursor = search(gateway, q="cat", tag="cat", limit=1)["cursor"]
    for params in ({"q": "dog"}, {"tag": "dog"}, {"like": "0.png"}):
        other = gateway.http.get("/v1/search", params={"cursor": cursor, **params})
        assert (other.status_code, problem(other)) == (400, "bad-request"), params
    for wrong in ("x", "0", f"{cursor}0000", "é" * 32):
        answer = gateway.http.get("/v1/search", params={"cursor": wrong})
        assert (answer.status_code, problem(answer)) == (400, "bad-request"), wrong
    (name,) = gateway.wiring.redis.scan_iter("test:search:*")
    assert 0 < gateway.wiring.redis.ttl(name) <= 600
    gateway.wiring.redis.expire(name, 100)
    assert len(keys(search(gateway, cursor=cursor, limit=1))) == 1
    assert gateway.wiring.redis.ttl(name) > 100  # each page renews it
    gateway.wiring.redis.delete(name)
    expired = gateway.http.get("/v1/search", params={"cursor": cursor})
    assert (expired.status_code, problem(expired)) == (410, "expired")


@pytest.mark.parametrize(
    ("params", "status", "name"),
    [
        ({}, 400, "bad-request"), ({"q": "  "}, 400, "bad-request"),
        ({"q": "?!"}, 400, "bad-request"), ({"q": "a", "like": "b"}, 400, "bad-request"),
        ({"like": "no.png"}, 404, "not-found"), ({"tag": ""}, 422, "invalid"), ({"q": "x" * 1001}, 422, "invalid"),
        ({"tag": ["x"] * 21}, 422, "invalid"), ({"q": "a", "after": "yesterday"}, 422, "invalid"),
        ({"q": "a", "state": "failed"}, 400, "bad-request"),
        ({"like": "a", "state": "dead"}, 400, "bad-request"), ({"state": "fine"}, 422, "invalid"),
        ({"q": "a", "before": "2024-02-30"}, 422, "invalid"), ({"q": "a", "limit": 0}, 422, "invalid"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_refused_with_the_reason(
    gateway: Running, params: Json, status: int, name: str
) -> None:
    answer = gateway.http.get("/v1/search", params=params)
    assert (answer.status_code, problem(answer)) == (status, name)
    assert answer.json()["detail"]


def test_an_object_without_tags_or_vector_cannot_be_searched_with(gateway: Running) -> None:
    gateway.tagged("bad.png", error="damaged")
    gateway.tagged("unseen.png", "cat")
    for key, said in (("bad.png", "failed"), ("unseen.png", "no vector")):
        answer = gateway.http.get("/v1/search", params={"like": key})
        assert (answer.status_code, problem(answer)) == (404, "not-found")
        assert said in answer.json()["detail"]


def test_without_a_worker_that_is_said_in_time_and_afterwards_it_works(gateway: Running) -> None:
    add(gateway, "a.png", RED, "cat")
    for queue in ("retrieval", "scoring"):
        world_of(gateway).away |= {queue}
        answer = gateway.http.get("/v1/search?q=cat")
        assert (answer.status_code, problem(answer)) == (503, "unavailable")
        assert answer.headers["retry-after"]
        world_of(gateway).away.clear()
        assert keys(search(gateway, q="cat")) == ["a.png"]
    world_of(gateway).away |= {"embedding"}
    assert problem(gateway.http.post("/v1/search", content=picture(RED))) == "unavailable"


def test_a_key_that_was_typed_in_another_normalisation_is_found(gateway: Running) -> None:
    add(gateway, "caf\u00e9.png", RED)
    add(gateway, "b.png", RED)
    assert keys(search(gateway, like="cafe\u0301.png")) == ["b.png"]


def test_words_in_quotes_must_be_there_and_words_after_a_minus_must_not(gateway: Running) -> None:
    add(gateway, "a.png", RED, "cat", "pet")
    add(gateway, "b.png", reddish(20), "cat")
    add(gateway, "c.png", reddish(40), "dog")
    assert sorted(keys(search(gateway, q="cat -pet"))) == ["b.png", "c.png"]
    assert keys(search(gateway, q='a "pet"')) == ["a.png"]
    assert keys(search(gateway, q="-cat")) == ["c.png"]
