"""The page without a mouse, on a phone, in both schemes, and under axe's rules."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it has no types
from playwright.sync_api import expect

from tests.acceptance.images import photograph
from tests.browser.chromium import photographs
from tests.browser.visitor import Visitor

Visit = Callable[..., Visitor]


def test_everything_is_done_with_the_keyboard_alone(visit: Visit) -> None:
    visitor = visit()
    visitor.page.on("filechooser", lambda _: None)  # has the browser hand choosers over from now on
    page = visitor.open()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the images")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Choose images")).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(photographs() / "chelsea.png")
    card = visitor.tagged("chelsea.png")
    page.keyboard.press("Tab")
    expect(card.locator("a.tag").first).to_be_focused()
    expect(card.locator("a.tag .score").first).to_have_css("opacity", "1")
    card.get_by_role("button", name="Add a caption").press("Enter")
    expect(card.get_by_label("Caption", exact=True)).to_be_focused()
    card.locator("a.tag").first.press("Enter")
    expect(page.get_by_role("heading", name="Tagged")).to_be_focused()


def test_screen_readers_are_told_what_came_of_an_image(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open()
    visitor.drop(("chelsea.png", photograph("chelsea.png")))
    expect(page.locator("#announcements")).to_have_text(re.compile("chelsea.png: egyptian cat"))


def test_a_phone_shows_everything_without_scrolling_sideways(visit: Visit) -> None:
    visitor = visit(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    page = visitor.open()
    visitor.drop((f"{'a-long-name-' * 12}.png", photograph("chelsea.png")))
    card = page.get_by_role("article")
    expect(card).to_have_attribute("data-state", "done")
    expect(card.locator("a.tag .score").first).to_have_css("opacity", "1")  # where nothing can hover
    for route in ("", "#/tags", "#/tag/egyptian%20cat"):
        page.evaluate("(route) => { location.hash = route; }", route)
        expect(page.locator("#view h2" if route else "#home")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        visitor.shot(f"phone-{route.strip('#/').split('/')[0] or 'home'}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_no_serious_objection(visit: Visit, scheme: str) -> None:
    # what the rules are run by is evaluated in the page, which its policy would refuse
    visitor = visit(color_scheme=scheme, reduced_motion="reduce", bypass_csp=True)
    page = visitor.open()
    visitor.drop(("chelsea.png", photograph("chelsea.png")), ("broken.png", photograph("chelsea.png")[:20_000]))
    visitor.tagged("chelsea.png").get_by_role("button", name="Add a caption").click()
    expect(visitor.card("broken.png")).to_have_attribute("data-state", "failed")
    for route in ("#/", "#/tags", "#/tag/egyptian%20cat"):
        page.evaluate("(route) => { location.hash = route; }", route)
        expect(page.locator("#home" if route == "#/" else "#view h2")).to_be_visible()
        found = Axe().run(page).response["violations"]
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in serious] == []
        visitor.shot(f"{scheme}-{route.strip('#/').split('/')[0] or 'home'}")
