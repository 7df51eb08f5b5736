"""The page shows what its owner wrote beside an image, and the last record while an image is tagged again."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable
from urllib.parse import urlencode

from playwright.sync_api import Route, expect

from tests.acceptance.images import photograph
from tests.browser.album import FOLDER, asked
from tests.browser.visitor import Visitor
from tests.eventually import eventually

Visit = Callable[..., Visitor]
OBJECT = re.compile(r"/v1/objects/inbox/[^?:]*(\?.*)?$")


def uploaded(address: str, name: str, **given: str) -> str:
    """The id of a photograph that was uploaded with these parameters."""
    where = f"{address}/v1/images?{urlencode({'wait': '60', 'file_name': name} | given)}"
    request = urllib.request.Request(where, photograph(name), {"Content-Type": "image/png"}, method="POST")
    with urllib.request.urlopen(request, timeout=90) as answer:
        return str(json.load(answer)["id"])


def test_metadata_is_on_the_card_and_in_the_reason_of_a_search(visit: Visit, album: str) -> None:
    texts = {"title": "Harbour at dawn", "markup": "<img src=x onerror=alert(1)>"}
    name = uploaded(album, "rocket.jpg", client_id="4711", metadata=json.dumps(texts))
    eventually(lambda: any(hit["metadata"] for hit in asked(album, "/v1/search", q="harbour")["images"]), 60)
    page = visit(album).open("#/search?q=harbour")
    tile = page.locator(f"#view .found .tile[data-oid='inbox/uploads/{name}']")
    link = tile.locator(".look")
    expect(link).to_have_accessible_name("rocket.jpg")
    expect(link).to_have_accessible_description(re.compile("metadata: title: Harbour at dawn"))
    link.click()
    card = page.locator(".viewer .card")
    expect(card.get_by_role("heading", name="rocket.jpg")).to_be_visible()
    card.get_by_text("Your metadata").click()
    for text in ("rocket.jpg", "4711", *texts.values()):
        expect(card.locator(".written dd", has_text=text)).to_be_visible()
    assert page.locator("img[src=x]").count() == 0


def test_a_file_from_the_page_keeps_its_name(visit: Visit, album: str) -> None:
    visitor = visit(album)
    visitor.open()
    visitor.drop(("Käffchen & Co.png", photograph("coffee.png")))
    card = visitor.tagged("Käffchen & Co.png")
    card.get_by_text("Your metadata").click()
    expect(card.locator(".written dd", has_text="Käffchen & Co.png")).to_be_visible()


def test_the_last_record_stays_with_a_mark_while_the_image_is_tagged_again(visit: Visit, album: str) -> None:
    visitor = visit(album)
    page = visitor.open()
    state = {"again": True}

    def answer(route: Route) -> None:
        response = route.fetch()
        body = response.json()
        if state["again"] and body.get("record"):
            body |= {"state": "embedding", "previous": body["record"], "record": None, "finished_at": None}
        route.fulfill(response=response, json=body)

    page.route(OBJECT, answer)
    page.route(re.compile(r":events"), lambda route: route.abort())
    visitor.refusals_expected = True
    page.goto(f"{album}/#/image/inbox/{FOLDER}cat.jpg")
    card = page.locator("#view .card.single")
    mark = card.get_by_text("The result so far. The image is being tagged again.")
    expect(mark).to_be_visible()
    expect(card).to_have_attribute("data-state", "embedding")
    assert visitor.labels(card)
    visitor.shot("tagged-again")
    state["again"] = False
    expect(card).to_have_attribute("data-state", "done")
    expect(mark).to_be_hidden()


def test_a_misspelt_tag_is_named_with_the_one_that_is_meant(visit: Visit, album: str) -> None:
    label = asked(album, "/v1/tags", limit="1")["tags"][0]["label"]
    page = visit(album).open(f"#/search?tag={label[0]}{label}")
    view = page.locator("#view")
    expect(view.get_by_text(re.compile(f"No image has the tag .*did you mean .*{re.escape(label)}"))).to_be_visible()
    page.goto(f"{album}/#/tag/{label[0]}{label}")
    expect(view.get_by_text(re.compile(f"No image has this tag. Did you mean .*{re.escape(label)}"))).to_be_visible()
