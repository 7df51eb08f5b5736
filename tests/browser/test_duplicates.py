"""Duplicates on the page: looked at, selected, and deleted after a question."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.acceptance.stack import Stack
from tests.browser import album as pictures
from tests.browser.test_viewer import no_objection
from tests.browser.visitor import Visitor
from tests.eventually import eventually

Visit = Callable[..., Visitor]


def test_copies_are_shown_the_largest_first_and_deleted_after_a_question(
    visit: Visit, album: str, stack: Stack
) -> None:
    largest, *others = pictures.copies(stack, "copies")

    def grouped() -> bool:
        groups = pictures.asked(album, "/v1/duplicates", refresh="true", limit="500")["groups"]
        return any({f"album/{name}" for name in others} < {one["key"] for one in group["copies"]} for group in groups)

    eventually(grouped, 60, every_s=0.5)
    visitor = visit(album, bypass_csp=True)
    page = visitor.open()
    page.get_by_role("link", name="Duplicates").click()
    group = page.get_by_role("region", name="Copies of 512.jpg")
    expect(group.locator(".name")).to_have_text([f"album/{name}" for name in (largest, *others)])
    expect(group.get_by_text("the largest", exact=False).first).to_be_visible()
    expect(page.get_by_text("Look before deleting").first).to_be_visible()
    no_objection(page)
    visitor.shot("duplicates")
    group.locator(".look").first.click()
    expect(page.locator("dialog.viewer").get_by_text("1 of 3")).to_be_visible()
    page.keyboard.press("Escape")
    expect(group.locator(".look").first).to_be_focused()
    group.get_by_role("button", name="Select all but the largest").press("Enter")
    page.get_by_role("button", name="Delete 2 selected copies").press("Enter")
    question = page.get_by_role("dialog", name="Delete 2 files?")
    expect(question.get_by_role("listitem")).to_have_text([f"album/{name}" for name in others])
    question.get_by_role("button", name="Cancel").click()
    assert not any(pictures.gone(album, name) for name in others)
    page.get_by_role("button", name="Delete 2 selected copies").click()
    question.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Deleted 2 files.").first).to_be_visible()
    expect(group).to_have_count(0)
    eventually(lambda: all(pictures.gone(album, name) for name in others), 20)
    assert not pictures.gone(album, largest)


def test_every_copy_selected_is_warned_of_on_a_phone(visit: Visit, album: str, stack: Stack) -> None:
    names = pictures.copies(stack, "more copies")

    def grouped() -> bool:
        groups = pictures.asked(album, "/v1/duplicates", refresh="true", limit="500")["groups"]
        return any(f"album/{names[0]}" in {one["key"] for one in group["copies"]} for group in groups)

    eventually(grouped, 60, every_s=0.5)
    page = visit(album, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True).open("#/duplicates")
    expect(page.locator(".group").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    group = page.locator(".group", has_text=names[0])
    for box in group.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Delete").first.click()
    expect(page.get_by_text("Every copy of 1 picture is selected")).to_be_visible()
