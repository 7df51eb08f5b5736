"""Segments on the page: asked for on a card, drawn over the picture, named one by one, there again when opened."""

from __future__ import annotations

import base64
import io
import json
import re
import urllib.request
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it has no types
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.acceptance.images import photograph
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.timeout(600)

Visit = Callable[..., Visitor]
PATIENCE_MS = 180_000  # for some hundred crops, on a busy machine
SHOW = "Segment"


@pytest.fixture(scope="module")
def rocket(address: str) -> dict[str, Any]:
    """The record of a photograph that was segmented for whoever looks at it."""
    image = photograph("rocket.jpg") + b"segmented"  # an object of its own
    asked = urllib.request.Request(f"{address}/v1/images?segment=dense", data=image, method="POST")
    with urllib.request.urlopen(asked, timeout=30) as answer:
        name = json.load(answer)["id"]
    for _ in range(6):
        with urllib.request.urlopen(f"{address}/v1/images/{name}?wait=30", timeout=60) as answer:
            image_json: dict[str, Any] = json.load(answer)
        if image_json["record"]:
            break
    record: dict[str, Any] = image_json["record"]
    return record


def opened(visitor: Visitor, record: dict[str, Any]) -> Locator:
    """The card of a record, with its segments."""
    card = visitor.open(f"#/image/{record['bucket']}/{record['key']}").get_by_role("article")
    expect(card.locator("canvas")).to_be_visible()
    expect(card.locator(".picture img")).not_to_have_js_property("naturalWidth", 0)
    return card


def seen(canvas: Locator) -> NDArray[np.uint8]:
    """What is on a canvas: (height, width, RGBA)."""
    address = canvas.evaluate("(canvas) => canvas.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGBA"))


def label_map(address: str, record: dict[str, Any]) -> Image.Image:
    """As the gateway has it."""
    with urllib.request.urlopen(f"{address}/v1/label-maps/{record['bucket']}/{record['key']}", timeout=30) as answer:
        return Image.open(io.BytesIO(answer.read()))


def middle(record: dict[str, Any], address: str, label: str) -> dict[str, float]:
    """Where, as shares of the image, a pixel of a label is that is far inside of it."""
    number = next(at for at, one in enumerate(record["segmentation"]["labels"]) if one["label"] == label)
    inside = np.asarray(label_map(address, record)) == number
    rows, columns = np.nonzero(inside)
    at = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    return {"x": (columns[at] + 0.5) / inside.shape[1], "y": (rows[at] + 0.5) / inside.shape[0]}


def position(canvas: Locator, share: dict[str, float]) -> Any:
    """That place on the canvas, for the mouse."""
    box = canvas.bounding_box()
    assert box is not None
    return {"x": share["x"] * box["width"], "y": share["y"] * box["height"]}


def test_the_button_has_what_is_where_found_and_shown(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open()
    visitor.drop(("rocket.jpg", photograph("rocket.jpg")))
    card = visitor.tagged("rocket.jpg")
    tags = visitor.labels(card)
    expect(card.locator(".thread li")).to_have_count(4)  # it is not segmented, and nothing says that it would be
    card.get_by_role("button", name=SHOW).click()
    expect(card.locator("[aria-current=step]")).to_have_text("segmen\u00adtation", timeout=PATIENCE_MS)
    expect(card.get_by_text("Segmenting the image")).to_be_visible()
    expect(card.get_by_role("button", name=SHOW)).to_be_disabled()
    assert visitor.labels(card) == tags  # what is known stays there meanwhile
    visitor.shot("finding-what-is-where")
    expect(card.locator("canvas")).to_be_visible(timeout=PATIENCE_MS)
    expect(card.locator(".thread .time").last).to_have_text(re.compile(r"\d m?s"))
    assert visitor.labels(card) == tags
    expect(card.locator(".before")).to_have_count(0)
    expect(card.get_by_role("button", name="Segment again")).to_be_enabled()
    expect(page.locator("#announcements")).to_contain_text("Segmentation: ")
    expect(card.locator(".picture img")).to_have_attribute("src", re.compile("size=640"))
    visitor.shot("what-is-where")


def test_what_was_segmented_shows_it_when_it_is_opened(visit: Visit, address: str, rocket: dict[str, Any]) -> None:
    visitor = visit()
    page = visitor.open()
    page.locator(f"#wall [data-oid='{rocket['bucket']}/{rocket['key']}'] .look").click()
    canvas = page.locator(".card.single canvas")
    expect(canvas).to_be_visible()
    page.reload()
    expect(canvas).to_be_visible()
    # as in the label map: the same pixels, in the same colours, as far as their transparency leaves those
    truth = label_map(address, rocket)
    drawn = seen(canvas)
    named = np.asarray(truth) > 0
    assert (named == (drawn[:, :, 3] > 0)).all()
    assert np.abs(drawn[named][:, :3].astype(int) - np.asarray(truth.convert("RGB"))[named]).max() <= 2
    # and the picture below it is whole, or they would not fit
    sides = page.locator(".card.single .picture").bounding_box()
    assert sides is not None
    assert sides["width"] / sides["height"] == pytest.approx(truth.width / truth.height, rel=0.02)


def test_a_part_that_is_pointed_at_says_its_name_while_the_others_fade(
    visit: Visit, address: str, rocket: dict[str, Any]
) -> None:
    visitor = visit()
    card = opened(visitor, rocket)
    canvas, selection, tip = card.locator("canvas"), card.locator(".selection"), card.locator(".tip")
    place = middle(rocket, address, "missile")
    calm = seen(canvas)
    canvas.hover(position=position(canvas, place))
    part = next(one for one in rocket["segmentation"]["segments"] if one["label"] == "missile")
    expect(selection).to_contain_text("missile")
    expect(selection).to_contain_text(f"score {part['score']:.2f}")
    expect(selection.locator("q")).to_have_text(part["evidence"][0]["caption"])
    expect(tip).to_have_text("missile")
    pointed = seen(canvas)
    numbers = np.asarray(label_map(address, rocket))
    this = numbers == numbers[int(place["y"] * numbers.shape[0]), int(place["x"] * numbers.shape[1])]
    assert (pointed[this][:, 3] > calm[this][:, 3]).all()
    others = ~this & (numbers > 0)
    assert (pointed[others][:, 3] < calm[others][:, 3] / 2).all()
    visitor.shot("what-is-where-pointed")
    canvas.click(position=position(canvas, place))  # it stays when the mouse goes
    card.locator(".title").hover()
    expect(selection).to_contain_text("missile")
    canvas.click(position=position(canvas, place))
    card.locator(".title").hover()
    expect(selection).to_contain_text("Point at a segment")
    assert (seen(canvas) == calm).all()


def test_the_legend_shows_its_parts_and_the_colours_can_be_hidden(visit: Visit, rocket: dict[str, Any]) -> None:
    visitor = visit()
    card = opened(visitor, rocket)
    canvas = card.locator("canvas")
    calm = seen(canvas)
    segments = rocket["segmentation"]["segments"]
    share = sum(one["area"] for one in segments if one["label"] == "missile")
    chip = card.get_by_role("button", name=f"missile {share:.0%}".replace("%", " %"))
    chip.hover()
    expect(card.locator(".tip")).to_have_text("missile")
    assert not (seen(canvas) == calm).all()
    card.locator(".title").hover()
    expect(card.locator(".tip")).to_be_hidden()
    hide = card.get_by_role("button", name="Hide colours")
    hide.click()
    expect(canvas).to_be_hidden()
    expect(hide).to_have_attribute("aria-pressed", "true")
    hide.click()
    expect(canvas).to_be_visible()


def test_its_parts_are_told_to_keyboards_and_screen_readers(visit: Visit, rocket: dict[str, Any]) -> None:
    visitor = visit()
    card = opened(visitor, rocket)
    canvas, selection = card.locator("canvas"), card.locator(".selection")
    labels = [one["label"] for one in rocket["segmentation"]["segments"]]
    named = re.compile(rf"Segmentation: {labels[0]} \d+ %, .*missile \d+ %")
    expect(card.get_by_role("img", name=named)).to_have_count(1)
    visitor.page.locator("#view h2").focus()
    canvas.focus()
    visitor.page.keyboard.press("Shift")  # whoever does that has a keyboard
    for label in labels[1:3]:
        visitor.page.keyboard.press("ArrowRight")
        expect(selection.locator("strong")).to_have_text(label)
    visitor.page.keyboard.press("ArrowLeft")
    expect(selection.locator("strong")).to_have_text(labels[1])
    visitor.page.keyboard.press("Tab")
    expect(card.locator(".part").first).to_be_focused()
    expect(selection.locator("strong")).to_have_text(labels[0])


def test_a_phone_has_parts_touched(visit: Visit, address: str, rocket: dict[str, Any]) -> None:
    visitor = visit(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    card = opened(visitor, rocket)
    canvas = card.locator("canvas")
    canvas.tap(position=position(canvas, middle(rocket, address, "missile")))
    expect(card.locator(".selection strong")).to_have_text("missile")
    expect(card.locator(".tip")).to_be_visible()
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 360
    visitor.shot("phone-what-is-where")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_no_serious_objection_to_it(visit: Visit, rocket: dict[str, Any], scheme: str) -> None:
    # what the rules are run by is evaluated in the page, which its policy would refuse
    visitor = visit(color_scheme=scheme, reduced_motion="reduce", bypass_csp=True)
    card = opened(visitor, rocket)
    card.locator(".part").first.click()
    found = Axe().run(visitor.page).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in serious] == []
    visitor.shot(f"{scheme}-what-is-where")


def test_what_cannot_be_segmented_keeps_its_tags_and_says_why(visit: Visit) -> None:
    visitor = visit()
    visitor.open()
    visitor.drop(("coffee.png", photograph("coffee.png")))
    card = visitor.tagged("coffee.png")
    card.get_by_label("Segmentation method").select_option("regions")
    card.get_by_role("button", name=SHOW).click()
    expect(card.get_by_text("Segmentation failed: ")).to_be_visible(timeout=PATIENCE_MS)
    assert "espresso" in visitor.labels(card)
    expect(card.locator("canvas")).to_have_count(0)
    visitor.shot("segmentation-failed")
