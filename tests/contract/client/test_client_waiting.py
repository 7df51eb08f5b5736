"""The Python client waits: for an image, for its steps, and for the feed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import islice

import pytest

from tests.contract.client.gateway_and_client import CAT, IMAGES
from tests.contract.client.gateway_and_client import client as client  # noqa: PLC0414 -- a fixture
from tests.contract.client.gateway_and_client import gateway as gateway  # noqa: PLC0414 -- a fixture
from tests.contract.made_up_gateway import Answer, MadeUpGateway, problem, record
from workers.client import Client, Image, NotFinished, Refused


def test_an_image_is_waited_for_in_one_request(gateway: MadeUpGateway, client: Client) -> None:
    image = client.upload(CAT, wait=30)
    assert image.final
    assert image.record is not None
    assert [(tag.label, tag.evidence) for tag in image.record.tags] == [("cat", (0,))]
    assert image.finished_at == image.record.finished_at == datetime(1970, 1, 1, 0, 1, 40, tzinfo=UTC)
    assert len(gateway.asked) == 2


def test_every_step_can_be_heard_of(gateway: MadeUpGateway, client: Client) -> None:
    heard: list[Image] = []
    image = client.wait(client.upload(CAT).id, 30, on_change=heard.append)
    assert [step.state for step in heard] == gateway.steps
    assert heard[-1] == image
    assert [asked.headers.get("if-none-match") for asked in gateway.asked[1:]] == [None, '"0"', '"1"', '"2"']


def test_what_has_not_changed_is_asked_again(gateway: MadeUpGateway, client: Client) -> None:
    image = client.upload(CAT)
    gateway.steps = ["queued", "done"]
    gateway.prepare(
        f"{IMAGES}/{image.id}", Answer(200, json.dumps(gateway.image(image.id)).encode(), {"ETag": '"0"'}),
        Answer(304), Answer(503, b"", {"Retry-After": "0"}), Answer(drop=True),
    )  # fmt: skip
    assert client.wait(image.id, 30, on_change=lambda _: None).state == "done"


def test_an_image_that_takes_too_long_is_left(gateway: MadeUpGateway, client: Client) -> None:
    gateway.steps = ["queued", "embedding"]
    image = client.upload(CAT)
    with pytest.raises(NotFinished, match="the state is embedding") as caught:
        client.wait(image.id, 0.3)
    assert isinstance(caught.value, TimeoutError)
    assert client.upload(CAT, wait=0.3).state == "embedding"


def test_an_upload_is_heard_of_even_if_it_cannot_be_followed(gateway: MadeUpGateway, client: Client) -> None:
    gateway.prepare(f"{IMAGES}/{0:032x}", *[problem(503, "unavailable", Retry_After="60")] * 9)
    assert client.upload(CAT, wait=0.3).state == "queued"


def test_an_image_is_tagged_again_and_its_new_record_awaited(gateway: MadeUpGateway, client: Client) -> None:
    image = client.upload(CAT, wait=30)
    before = client.retag(image.id)
    assert client.wait(image.id, 30, since=before.finished_at).final
    assert gateway.asked[-1].query["since"] == "1970-01-01T00:01:40+00:00"


def test_an_image_is_deleted_once(client: Client) -> None:
    image = client.upload(CAT)
    assert client.delete(image.id)
    assert not client.delete(image.id)
    with pytest.raises(Refused, match="not-found"):
        client.get(image.id)


def test_an_id_cannot_lead_elsewhere(gateway: MadeUpGateway, client: Client) -> None:
    with pytest.raises(Refused):
        client.get("../captions?a=b")
    assert gateway.asked[-1].query == {}


def test_objects_are_found_page_by_page(gateway: MadeUpGateway, client: Client) -> None:
    found = list(client.tagged("moka pot", min_score=0.3))
    assert [(one.score, one.record.key) for one in found] == [(0.9, "one"), (0.4, "two")]
    assert [asked.query.get("cursor") for asked in gateway.asked] == [None, "next"]
    assert {asked.query["min_score"] for asked in gateway.asked} == {"0.3"}


def test_images_are_searched_page_by_page(gateway: MadeUpGateway, client: Client) -> None:
    found = list(client.search("a cat", tags=["pet"], prefix="2024/", page=10))
    assert [(one.key, one.similarity, one.tags, one.all_tags[0].label) for one in found] == [
        ("one", 0.5, ("cat",), "cat"), ("two", 0.5, ("cat",), "cat"),
    ]  # fmt: skip
    assert [asked.query for asked in gateway.asked] == [
        {"q": "a cat", "tag": "pet", "prefix": "2024/", "limit": "10"}, {"cursor": "next", "limit": "10"},
    ]  # fmt: skip
    results = client.find("a cat")
    asked = len(gateway.asked)
    assert results.incomplete == "1 of 2 images can be found"
    assert [one.key for one in results] == ["one", "two"]
    assert len(gateway.asked) == asked + 2, "the first page is requested once"
    assert results.incomplete is None, "as the last page says"


def test_an_image_is_sent_once_to_search_with(gateway: MadeUpGateway, client: Client) -> None:
    assert [one.key for one in client.search(image=CAT, not_tags=["dog"])] == ["one", "two"]
    assert [(asked.method, asked.body) for asked in gateway.asked] == [("POST", CAT), ("GET", b"")]
    assert gateway.asked[0].query == {"not_tag": "dog", "limit": "50"}


def test_a_search_that_can_only_be_a_mistake_is_refused(client: Client) -> None:
    with pytest.raises(ValueError, match="one of"):
        client.search("a cat", like="one")
    with pytest.raises(TypeError, match="sequences"):
        client.search(tags="cat")


@pytest.mark.parametrize("captions", ["cat", ["a cat"]])
def test_the_old_name_of_adding_captions_names_the_new_one(client: Client, captions: object) -> None:
    with pytest.raises(TypeError, match="add_captions"):
        client.teach(captions)


def test_one_text_is_not_taken_for_captions_of_a_letter(client: Client) -> None:
    with pytest.raises(TypeError, match="several captions"):
        client.add_captions("cat")


def test_any_number_of_captions_is_taught(gateway: MadeUpGateway, client: Client) -> None:
    captions = [f"a moka pot for {number}" for number in range(250)]
    taught = client.add_captions(captions, source="tests")
    assert [(one.caption, one.added) for one in taught] == [(caption, True) for caption in captions]
    lessons = [json.loads(asked.body) for asked in gateway.asked]
    assert [(len(lesson["captions"]), lesson["source"]) for lesson in lessons] == [
        (100, "tests"), (100, "tests"), (50, "tests"),
    ]  # fmt: skip


def test_a_feed_that_broke_before_its_first_event_goes_on_where_it_was_opened(
    gateway: MadeUpGateway, client: Client
) -> None:
    kind = {"Content-Type": "text/event-stream"}
    opened = Answer(200, b": ping\n\nid: 7-1\n\n", kind)
    done = Answer(200, f"id: 8-0\nevent: done\ndata: {json.dumps(record('a', 'cat'))}\n\n".encode(), kind)
    gateway.prepare("/v1/feed", opened, done)
    assert next(client.feed()).id == "8-0"
    assert [asked.headers.get("last-event-id") for asked in gateway.asked] == [None, "7-1"]


def test_the_feed_goes_on_where_it_broke(gateway: MadeUpGateway, client: Client) -> None:
    def stream(*events: tuple[str, str, object]) -> Answer:
        text = "".join(f": ping\n\nid: {i}\nevent: {name}\ndata: {json.dumps(data)}\n\n" for i, name, data in events)
        return Answer(200, text.encode(), {"Content-Type": "text/event-stream"})

    gone = {"bucket": "inbox", "key": "b", "state": "removed", "client_id": "7", "metadata": {"title": "Paris"}}
    away = problem(503, "unavailable", Retry_After="0")
    first, second = stream(("1-0", "done", record("a", "cat"))), stream(("2-0", "removed", gone), ("3-0", "gap", {}))
    gateway.prepare("/v1/feed", first, away, second)
    news = list(islice(client.feed(), 3))
    assert [(one.id, one.state, one.key) for one in news] == [("1-0", "done", "a"), ("2-0", "removed", "b"),
                                                              ("3-0", "gap", "")]  # fmt: skip
    assert news[0].record is not None
    assert news[0].record.tags[0].label == "cat"
    assert (news[1].client_id, news[1].metadata) == ("7", {"title": "Paris"})
    assert [asked.headers.get("last-event-id") for asked in gateway.asked] == [None, "1-0", "1-0"]
