"""A search says why images were found, which ones have no tags, and which tags do not exist."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.gateway.running import Running
from tests.contract.gateway.test_search import add, all_pages, cleared, keys, search, searching
from tests.contract.searching_world import BLUE, RED


@pytest.fixture(scope="module")
def module_world(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with searching(tmp_path_factory.mktemp("home"), redis_url) as gateway:
        yield gateway


@pytest.fixture
def gateway(module_world: Running) -> Running:
    return cleared(module_world)


def test_what_its_owner_wrote_is_found_and_is_said_as_the_reason(gateway: Running) -> None:
    texts = {"title": "Sunset in Köln", "s3cmd-attrs": "uname:root", "note": "best 2019"}
    add(gateway, "a.png", RED, "sky", metadata=texts, client_id="Order-4711", file_name="my_harbour.png")
    add(gateway, "b.png", BLUE, "sky")
    for asked, metadata, words in [
        ("sunsets", ["title: Sunset in Köln"], []),
        ('"Sunset in Köln"', ["title: Sunset in Köln"], []),
        ("Order-4711", ["client_id: Order-4711"], []),
        ("2019", ["note: best 2019"], []),
        ("harbour", [], ["harbour"]),
        ("best sunset", ["title: Sunset in Köln", "note: best 2019"], []),
    ]:
        first = search(gateway, q=asked)["images"][0]
        assert (first["key"], first["metadata"], first["words"]) == ("a.png", metadata, words), asked
        assert first["all_metadata"] == texts
        assert (first["client_id"], first["file_name"]) == ("Order-4711", "my_harbour.png")
    assert keys(search(gateway, q='"root"')) == []
    other = search(gateway, prefix="b")["images"][0]
    assert (other["all_metadata"], other["client_id"], other["file_name"]) == ({}, None, None)


def test_images_in_a_state_are_listed_with_other_filters(gateway: Running) -> None:
    add(gateway, "one/a.png", RED, "cat")
    gateway.tagged("one/b.png", error="damaged")
    gateway.tagged("two/c.png", error="damaged")
    assert keys(search(gateway, state="failed")) == ["two/c.png", "one/b.png"]
    page = search(gateway, state="failed", limit=1)
    assert all_pages(gateway, page) == ["two/c.png", "one/b.png"]
    assert (page["images"][0]["state"], page["images"][0]["error"]["code"]) == ("failed", "damaged")
    assert keys(search(gateway, state="failed", prefix="one/")) == ["one/b.png"]
    assert keys(search(gateway, state="failed", tag="cat")) == []
    assert keys(search(gateway, state="done")) == ["one/a.png"]
    assert keys(search(gateway, state="done", q="cat")) == ["one/a.png"]
    assert keys(search(gateway, state="dead")) == []


def test_a_tag_that_no_image_has_is_named_with_those_that_are_meant(gateway: Running) -> None:
    add(gateway, "a.png", RED, "cat", "Catamaran")
    add(gateway, "b.png", RED, "dog")
    page = search(gateway, tag="caat")
    assert (keys(page), page["hint"]) == ([], "no image has the tag 'caat'; did you mean 'cat'?")
    assert search(gateway, tag="zebra")["hint"] == "no image has the tag 'zebra'"
    without = search(gateway, not_tag="dgo")  # nothing is left out
    assert (keys(without), without["hint"]) == (["b.png", "a.png"], "no image has the tag 'dgo'; did you mean 'dog'?")
    assert search(gateway, tag=["caat", "catamran"], q="x")["hint"].count("did you mean") == 2
    assert search(gateway, tag="cat", not_tag="dog", prefix="x")["hint"] is None
    listed = gateway.http.get("/v1/tags/caat/objects").json()
    assert (listed["objects"], listed["hint"]) == ([], "no image has the tag 'caat'; did you mean 'cat'?")
    assert gateway.http.get("/v1/tags/cat/objects").json()["hint"] is None
