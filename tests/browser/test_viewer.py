"""The full-size view: opened from a grid, moved through, and left; with the keyboard, on a phone, and to delete."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it has no types
from playwright.sync_api import Locator, Page, expect

from tests.acceptance.stack import Stack
from tests.browser import album as pictures
from tests.browser.album import FOLDER, HOSTILE
from tests.browser.visitor import Visitor
from tests.eventually import eventually

Visit = Callable[..., Visitor]
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
SWIPE = """([stage, from, to]) => {
    const touch = (clientX) => new Touch({ identifier: 1, target: stage, clientX, clientY: 300 });
    stage.dispatchEvent(new TouchEvent("touchstart", { touches: [touch(from)] }));
    stage.dispatchEvent(new TouchEvent("touchend", { changedTouches: [touch(to)] }));
}"""


def opened(page: Page, name: str) -> Locator:
    """The view, opened from the results of a search."""
    page.locator(f"#view .tile[data-oid='inbox/{FOLDER}{name}'] .look").click()
    viewer = page.locator("dialog.viewer")
    expect(viewer.locator(".card")).to_have_attribute("data-state", "done")
    return viewer


def test_arrow_keys_move_and_escape_returns_the_focus(visit: Visit, album: str) -> None:
    page = visit(album).open("#/search?q=cat")
    links = page.locator("#view .found .look")
    expect(links.nth(1)).to_be_visible()
    names = [name.strip() for name in links.all_inner_texts()[:2]]
    links.first.focus()
    page.keyboard.press("Enter")
    viewer = page.locator("dialog.viewer")
    expect(viewer.get_by_role("heading", name=names[0])).to_be_focused()
    expect(page).to_have_url(re.compile("#/image/inbox/"))
    page.keyboard.press("ArrowLeft")  # there is none before
    page.keyboard.press("ArrowRight")
    expect(viewer.get_by_role("heading", name=names[1])).to_be_visible()
    expect(viewer.locator(".picture img")).to_have_attribute("src", re.compile("size=1600"))
    expect(viewer.get_by_text(re.compile(r"^2 of \d+$"))).to_be_visible()
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    expect(page).to_have_url(re.compile(r"#/search\?q=cat$"))
    expect(links.nth(1)).to_be_focused()
    page.go_forward()
    expect(page.locator("#view .card.single")).to_be_visible()
    page.go_back()
    expect(links.first).to_be_visible()


def test_it_shows_tags_with_evidence_and_leads_to_the_original(visit: Visit, album: str) -> None:
    page = visit(album).open("#/search?q=cat")
    viewer = opened(page, "cat.jpg")
    expect(viewer.locator(".evidence q").first).to_be_visible()
    original = viewer.get_by_role("link", name="Original").get_attribute("href")
    with urllib.request.urlopen(f"{album}{original}", timeout=20) as answer:
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert answer.read(3) == b"\xff\xd8\xff"
    with page.expect_download() as saved:
        viewer.get_by_role("link", name="Download").click()
    assert saved.value.suggested_filename == "cat.jpg"
    viewer.get_by_role("link", name="More like this").first.click()
    expect(viewer).to_be_hidden()
    expect(page.get_by_role("heading", name="More like cat.jpg")).to_be_visible()


def test_a_slash_leads_from_it_to_the_search_field(visit: Visit, album: str) -> None:
    page = visit(album).open("#/search?q=cat")
    viewer = opened(page, "cat.jpg")
    page.keyboard.press("/")
    expect(viewer).to_be_hidden()
    expect(page.get_by_role("searchbox", name="Search images")).to_be_focused()


def test_deleting_asks_first_and_goes_on_with_the_next(visit: Visit, album: str, stack: Stack) -> None:
    pictures.one_more(stack, album, "to delete.jpg")
    page = visit(album).open("#/search?q=to delete&prefix=album/")
    viewer = opened(page, "to delete.jpg")
    viewer.get_by_role("button", name="Delete").click()
    question = page.get_by_role("dialog", name="Delete this image?")
    expect(question.get_by_text(f"{FOLDER}to delete.jpg")).to_be_visible()
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    assert not pictures.gone(album, "to delete.jpg")
    viewer.get_by_role("button", name="Delete").click()
    question.get_by_role("button", name="Delete").click()
    expect(page.locator(f"#view .tile[data-oid='inbox/{FOLDER}to delete.jpg']")).to_have_count(0)
    eventually(lambda: pictures.gone(album, "to delete.jpg"), 20)
    expect(viewer.get_by_role("heading", name="to delete.jpg")).to_have_count(0)


def test_what_is_gone_meanwhile_says_so(visit: Visit, album: str, stack: Stack) -> None:
    pictures.one_more(stack, album, "soon gone.jpg")
    visitor = visit(album)
    visitor.refusals_expected = True
    page = visitor.open("#/search?q=soon gone")
    viewer = opened(page, "soon gone.jpg")
    (stack.inbox / FOLDER / "soon gone.jpg").unlink()
    eventually(lambda: pictures.gone(album, "soon gone.jpg"), 30)
    viewer.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog", name="Delete this image?").get_by_role("button", name="Delete").click()
    expect(viewer.get_by_text("was not deleted. Not found.")).to_be_visible()


def test_on_a_phone_it_is_swiped_and_nothing_is_wider_than_the_screen(visit: Visit, album: str) -> None:
    visitor = visit(album, **PHONE)
    page = visitor.open("#/search?q=cat")
    expect(page.locator("#view .found .why").first).to_have_css("opacity", "1")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    visitor.shot("phone-search")
    viewer = opened(page, "cat.jpg")
    before = viewer.locator(".title").inner_text()
    stage = viewer.locator(".stage").element_handle()
    first = viewer.get_by_text(re.compile("^1 of")).is_visible()
    page.evaluate(SWIPE, [stage, 300, 60] if first else [stage, 60, 300])
    expect(viewer.locator(".title")).not_to_have_text(before)
    assert page.evaluate("document.querySelector('.viewer .stage').scrollWidth") <= 360
    assert page.evaluate("document.querySelector('.viewer .bar').scrollWidth") <= 360
    visitor.shot("phone-viewer")


def test_a_name_that_looks_like_markup_stays_text_in_it(visit: Visit, album: str) -> None:
    page = visit(album).open("#/search?prefix=album/")
    page.locator("#view .look", has_text=HOSTILE).click()
    viewer = page.locator("dialog.viewer")
    expect(viewer.get_by_role("heading", name=HOSTILE)).to_be_visible()
    viewer.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog", name="Delete this image?").get_by_text(HOSTILE)).to_be_visible()
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_no_serious_objection_to_search_and_view(visit: Visit, album: str, scheme: str) -> None:
    visitor = visit(album, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True)
    page = visitor.open("#/search?q=cat&not_tag=rocket")
    expect(page.locator("#view .found .tile").first).to_be_visible()
    page.locator("#view .found .look").first.focus()
    no_objection(page)
    visitor.shot(f"{scheme}-search")
    viewer = opened(page, "cat.jpg")
    no_objection(page)
    visitor.shot(f"{scheme}-viewer")
    viewer.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog", name="Delete this image?")).to_be_visible()
    no_objection(page)


def no_objection(page: Page) -> None:
    """Fail with what axe objects to."""
    found = Axe().run(page).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in serious] == []
