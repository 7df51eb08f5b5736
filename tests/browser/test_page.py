"""What a person does with the page: images in, tags out, and everything that leads on from there."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from PIL import Image
from playwright.sync_api import APIResponse, Route, expect

from tests.acceptance.images import drop, one_pixel, photograph
from tests.acceptance.stack import Stack
from tests.browser.conftest import LARGEST
from tests.browser.visitor import Visitor
from tests.eventually import eventually

Visit = Callable[..., Visitor]
CAT = "egyptian cat"


def test_a_dropped_photograph_gets_its_tags_with_evidence_and_timings(visit: Visit) -> None:
    visitor = visit()
    visitor.open()
    visitor.drop(("chelsea.png", photograph("chelsea.png")))
    expect(visitor.card("chelsea.png").get_by_role("img")).to_be_visible()  # at once, before anything is known
    card = visitor.tagged("chelsea.png")
    assert CAT in visitor.labels(card)
    expect(card.locator(".evidence q").first).to_have_text("Egyptian cat, a kind of domestic cat")
    expect(card.locator(".thread .time")).to_have_text([re.compile(r"\d m?s")] * 4)
    expect(card.get_by_text(re.compile(r"Done in [\d.]+ m?s"))).to_be_visible()
    expect(card.get_by_role("img")).to_have_attribute("src", re.compile(r"/v1/thumbnails/inbox/uploads/"))
    expect(card.get_by_role("img")).to_have_attribute("alt", re.compile(CAT))
    visitor.shot("tagged")


def test_what_may_be_wrong_with_a_file_is_said_beside_its_tags(visit: Visit) -> None:
    image = Image.open(io.BytesIO(photograph("chelsea.png"))).convert("RGB")
    image.paste((0, 0, 0), (0, image.height * 3 // 4, *image.size))
    data = io.BytesIO()
    image.save(data, "PPM")
    visitor = visit()
    visitor.open()
    visitor.drop(("night.ppm", data.getvalue()))
    card = visitor.tagged("night.ppm")
    assert visitor.labels(card)
    expect(card.get_by_text("Warning: the lower 25 % of its rows are zeros")).to_be_visible()


def test_its_stages_are_shown_while_it_goes_through_them(visit: Visit, stack: Stack) -> None:
    visitor = visit()
    visitor.open()
    scoring = psutil.Process(stack.process("worker-scoring"))
    scoring.suspend()  # the image stays in the stage before, where it can be seen
    try:
        visitor.drop(("rocket.jpg", photograph("rocket.jpg")))
        card = visitor.card("rocket.jpg")
        expect(card.locator("[aria-current=step]")).to_have_text("extraction")
        expect(card.get_by_text("Extracting words from the captions")).to_be_visible()
        expect(card.locator(".thread [data-at=done]")).to_have_text(["embedding", "retrieval"])
        visitor.shot("on-its-way")
    finally:
        scoring.resume()
    visitor.tagged("rocket.jpg")


def test_the_score_shows_when_a_tag_is_pointed_at_and_is_there_for_screen_readers(visit: Visit) -> None:
    visitor = visit()
    visitor.open()
    visitor.drop(("chelsea.png", photograph("chelsea.png")))
    tag = visitor.tagged("chelsea.png").locator("a.tag").first
    expect(tag.locator(".score")).to_have_css("opacity", "0")
    expect(tag).to_have_accessible_name(re.compile(rf"^{CAT} ?, confidence 0\.\d\d$"))
    tag.hover()
    expect(tag.locator(".score")).to_have_css("opacity", "1")


def test_a_pasted_image_gets_its_tags(visit: Visit) -> None:
    visitor = visit()
    visitor.open()
    visitor.paste(("image.png", photograph("coffee.png")))
    assert "espresso" in visitor.labels(visitor.tagged("image.png"))


def test_thirty_images_at_once_all_get_their_tags(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open()
    visitor.drop(*((f"{number}.jpg", photograph("rocket.jpg") + bytes([number])) for number in range(30)))
    done = page.locator(".card[data-state=done]")
    expect(done).to_have_count(30, timeout=60_000)
    expect(page.locator(".card")).to_have_count(30)


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        (
            "letter.png",
            b"no image at all, whatever its name says",
            "This file is not an image in a supported format.",
        ),
        ("empty.png", b"", "The file is empty: the request has no image."),
        ("huge.png", one_pixel() + bytes(3 * LARGEST), "This file is too large"),
    ],
)
def test_a_file_that_is_not_taken_says_why(visit: Visit, name: str, data: bytes, sentence: str) -> None:
    visitor = visit()
    visitor.refusals_expected = True
    visitor.open()
    visitor.drop((name, data))
    expect(visitor.card(name)).to_have_attribute("data-state", "refused")
    expect(visitor.card(name).get_by_text(sentence)).to_be_visible()


def test_an_image_that_cannot_be_tagged_says_why(visit: Visit) -> None:
    visitor = visit()
    visitor.open()
    visitor.drop(("broken.png", photograph("chelsea.png")[:20_000]))
    card = visitor.card("broken.png")
    expect(card).to_have_attribute("data-state", "failed")
    expect(card.get_by_text("Tagging failed:")).to_be_visible()
    visitor.shot("failed")


def test_an_unknown_image_says_so_and_offers_to_be_taught(visit: Visit) -> None:
    visitor = visit()
    visitor.open()
    visitor.drop(("pixel.png", one_pixel()))
    card = visitor.tagged("pixel.png")
    expect(card.get_by_text("the image shows nothing but a colour, blur or noise")).to_be_visible()
    expect(card.get_by_text("The nearest captions", exact=True)).to_be_visible()
    expect(card.get_by_role("button", name="Add a caption")).to_be_visible()
    visitor.shot("unknown")


def test_a_taught_caption_changes_what_is_seen_in_the_same_image(visit: Visit) -> None:
    visitor = visit()
    visitor.open()
    visitor.drop(("chelsea.png", photograph("chelsea.png")))
    card = visitor.tagged("chelsea.png")
    caption = "a photo of an Egyptian Mau, a spotted cat"
    card.get_by_role("button", name="Add a caption").click()
    card.get_by_label("Caption", exact=True).fill(caption)
    card.get_by_role("button", name="Add and tag again").click()
    expect(card.get_by_text("is now part of the evidence")).to_be_visible()
    expect(card.locator(".before")).to_contain_text(CAT)
    expect(card.locator(".tag.fresh .label").first).to_have_text("egyptian mau")
    expect(card.locator(".evidence q").first).to_have_text(caption)
    visitor.shot("taught")
    card.get_by_role("button", name="Remove the caption").click()
    expect(card.locator(".evidence q").first).not_to_have_text(caption)


def test_a_tag_leads_to_everything_that_carries_it(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open()
    visitor.drop(("chelsea.png", photograph("chelsea.png")))
    visitor.tagged("chelsea.png").get_by_role("link", name=CAT).first.click()
    expect(page).to_have_url(re.compile(r"#/tag/egyptian%20cat$"))
    expect(page.get_by_role("heading", name=f"Tagged {CAT}")).to_be_focused()
    expect(page.locator("#view .tile").first.get_by_text(CAT)).to_be_visible()
    page.locator("#view .tile .look").first.click()
    expect(page.locator(".card.single .evidence")).to_be_visible()
    visitor.shot("one-image")


def test_tags_are_found_by_how_they_begin(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open()
    visitor.drop(("chelsea.png", photograph("chelsea.png")))
    visitor.tagged("chelsea.png")
    page.get_by_role("link", name="Tags").click()
    page.get_by_label("Starts with").fill("egypt")
    expect(page.locator("#view .tag .label").first).to_have_text(re.compile("^egypt"))
    page.get_by_label("Starts with").fill("ANIMALS")
    page.locator("#view .tag .label").get_by_text("animal", exact=True).click()
    expect(page.locator("#view .tile .note").first).to_have_text(re.compile("^Confidence 0.*, by “egyptian cat”$"))
    page.get_by_role("link", name="Tags").click()
    page.get_by_label("Starts with").fill("qqq")
    expect(page.get_by_text("No tag starts with “qqq”.")).to_be_visible()


def test_the_wall_shows_what_comes_into_the_bucket_and_forgets_what_is_removed(visit: Visit, stack: Stack) -> None:
    visitor = visit()
    page = visitor.open()
    drop(stack.inbox, "from a camera.png", photograph("coffee.png"))
    tile = page.locator("#wall [data-oid='inbox/from a camera.png']")
    expect(tile.get_by_text("espresso")).to_be_visible()
    expect(tile.locator("img")).to_have_js_property("naturalWidth", 320)
    (stack.inbox / "from a camera.png").unlink()
    expect(tile).to_have_count(0)


def test_what_finishes_while_the_wall_is_loaded_is_on_it(visit: Visit) -> None:
    visitor = visit()
    page = visitor.page
    held: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        held.append((route, route.fetch()))

    page.route(re.compile(r"/v1/objects\?limit="), hold)
    visitor.open()
    eventually(lambda: page.title() and held, 30)  # to ask for the title lets the route be answered
    visitor.drop(("slow list.png", photograph("coffee.png")))
    image = page.locator("#wall").get_by_role("link", name="slow list.png", exact=True)
    expect(image).to_be_visible()
    for route, answer in held:
        route.fulfill(response=answer)
    page.unroute_all()
    expect(page.locator("#wall")).to_have_attribute("aria-busy", "false")
    expect(image).to_be_visible()


def test_the_wall_holds_still_when_asked(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open()
    expect(page.locator("#wall")).to_have_attribute("aria-busy", "false")
    page.get_by_role("button", name="Pause").click()
    visitor.drop(("coffee.png", photograph("coffee.png")))
    visitor.tagged("coffee.png")
    expect(page.get_by_text("Paused: 1 change not shown.")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("not shown")).to_have_count(0)
    expect(page.locator("#wall .tile").first.get_by_text("espresso")).to_be_visible()


def test_a_name_that_looks_like_markup_stays_text(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open()
    name = "<img src=x onerror=alert(1)>.png"
    visitor.drop((name, photograph("coffee.png")))
    visitor.tagged(name)
    assert page.locator("img[src=x]").count() == 0


def test_links_lead_to_flower_and_to_the_documentation_which_renders(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open()
    expect(page.get_by_role("link", name="Flower")).to_have_attribute("href", re.compile(r"^http://127\.0\.0\.1:\d+"))
    page.get_by_role("link", name="API").click()
    expect(page.get_by_role("heading", name="wildtag")).to_be_visible()
    expect(page.locator(".opblock").first).to_be_visible()
    visitor.shot("docs")


def test_where_there_is_nothing_yet_the_page_says_so(make_gateway: Any, visit: Visit) -> None:
    empty = make_gateway(WILDTAG_KEY_PREFIX="empty:")
    visitor = visit(empty.address)
    page = visitor.open()
    expect(page.get_by_text("No images yet.")).to_be_visible()
    page.get_by_role("link", name="Tags").click()
    expect(page.get_by_text("There are no tags yet")).to_be_visible()
    visitor.shot("empty")
