"""Teaching by example on the page: accept, reject, type, take back, and the images that look like one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import album as pictures
from tests.browser.test_viewer import no_objection
from tests.browser.visitor import Visitor
from tests.eventually import eventually

Visit = Callable[..., Visitor]


@pytest.fixture(autouse=True)
def forgotten(album: str) -> Iterator[None]:
    """Nothing that is said here stays."""
    yield
    pictures.forget(album)


def card_of(visitor: Visitor, name: str) -> Locator:
    """The record of an image of the folder."""
    card = visitor.open(f"#/image/inbox/{pictures.FOLDER}{name}").locator("#view .card.single")
    expect(card).to_have_attribute("data-state", "done")
    return card


def add(card: Locator, label: str) -> None:
    """Type a tag of one's own."""
    card.get_by_label("Add a tag").fill(label)
    card.get_by_label("Add a tag").press("Enter")


def said(card: Locator, label: str) -> Locator:
    """What stands beside a tag."""
    return card.locator(".tags li", has=card.page.get_by_role("link", name=re.compile(rf"^{re.escape(label)}\b")))


def test_a_typed_tag_is_marked_offers_what_looks_alike_and_can_be_taken_back(visit: Visit, album: str) -> None:
    visitor = visit(album)
    card = card_of(visitor, "cat.jpg")
    add(card, "Chelsea")
    expect(said(card, "Chelsea").get_by_text("you", exact=True)).to_be_visible()
    expect(card.get_by_text("Accepted: Chelsea.")).to_be_visible()
    near = card.locator(".likes")
    expect(near.get_by_role("heading", name=re.compile(r"^\d+ more looks? like this$"))).to_be_visible()
    expect(near.get_by_text("They gain “Chelsea” by themselves")).to_be_visible()
    eventually(lambda: "Chelsea" in pictures.labels(album, "cat darker.jpg"), 60)
    expect(near.get_by_text(re.compile(r"have “Chelsea” now"))).to_be_visible()
    visitor.shot("taught-by-example")
    other = card_of(visit(album), "cat darker.jpg")
    example = said(other, "Chelsea")
    expect(example.get_by_text("looks like")).to_be_visible()
    example.get_by_role("link", name="album/cat.jpg").click()
    expect(other.page.get_by_role("heading", name="cat.jpg")).to_be_visible()
    back = card.get_by_role("button", name="Take back Chelsea")
    back.focus()
    back.press("Enter")
    expect(card.get_by_text("Taken back: Chelsea.")).to_be_visible()
    expect(said(card, "Chelsea")).to_have_count(0)
    eventually(lambda: "Chelsea" not in pictures.labels(album, "cat darker.jpg"), 60)


def test_accept_and_reject_hold_and_the_focus_stays(visit: Visit, album: str) -> None:
    visitor = visit(album)
    card = card_of(visitor, "coffee.jpg")
    label = visitor.labels(card)[0]
    accept = card.get_by_role("button", name=f"Accept {label}", exact=True)
    accept.focus()
    accept.press("Enter")
    back = card.get_by_role("button", name=f"Take back {label}", exact=True)
    expect(back).to_be_focused()
    assert (
        next(tag for tag in pictures.record(album, "coffee.jpg")["tags"] if tag["label"] == label)["source"]
        == "person"
    )
    back.press("Enter")
    card.get_by_role("button", name=f"Reject {label}", exact=True).click()
    expect(card.get_by_role("list", name="Rejected tags").get_by_text(label, exact=True)).to_be_visible()
    expect(said(card, label)).to_have_count(0)
    assert label in pictures.record(album, "coffee.jpg")["rejected"]
    card.get_by_role("list", name="Rejected tags").get_by_role("button", name=f"Take back {label}").click()
    expect(card.get_by_role("list", name="Rejected tags")).to_be_hidden()


def test_some_of_those_that_look_alike_are_accepted_or_rejected(visit: Visit, album: str) -> None:
    visitor = visit(album)
    card = card_of(visitor, "cat.jpg")
    add(card, "Tibbles")
    near = card.locator(".likes")
    near.get_by_role("button", name="Accept selected").click()
    expect(near.get_by_text("Select images first.")).to_be_visible()
    near.get_by_role("checkbox", name="cat darker.jpg").check()
    near.get_by_role("button", name="Reject selected").click()
    expect(near.get_by_text("Rejected for 1 image.")).to_be_visible()
    eventually(lambda: "Tibbles" in (pictures.record(album, "cat darker.jpg").get("rejected") or []), 30)
    near.get_by_role("button", name="Accept all").click()
    expect(near.get_by_text(re.compile(r"^Accepted for \d+ images?\.$"))).to_be_visible()
    expect(near.get_by_text(re.compile(r"^\d+ of \d+ have “Tibbles” now\.$"))).to_be_visible()

    def accepted() -> bool:
        tags = pictures.record(album, "cat darker.jpg")["tags"]
        return any(one["label"] == "Tibbles" and one.get("source") == "person" for one in tags)

    eventually(accepted, 30)


def test_a_label_that_cannot_be_says_why_and_markup_in_one_stays_text(visit: Visit, album: str) -> None:
    visitor = visit(album)
    visitor.refusals_expected = True
    card = card_of(visitor, "rocket.jpg")
    add(card, "???")
    expect(card.get_by_text("has no letter or digit")).to_be_visible()
    expect(card.get_by_label("Add a tag")).to_have_value("???")
    label = "<img src=x onerror=alert(1)>"
    add(card, label)
    expect(card.locator(".tags .label").get_by_text(label, exact=True)).to_be_visible()
    card.get_by_role("button", name=f"Take back {label}").click()
    expect(card.get_by_text(f"Taken back: {label}.")).to_be_visible()
    assert card.page.locator("img[src=x]").count() == 0


def test_teaching_works_in_the_full_size_view_and_axe_has_no_objection(visit: Visit, album: str) -> None:
    visitor = visit(album, bypass_csp=True, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    page: Page = visitor.open("#/search?like=album/cat.jpg")
    page.locator("#view .tile[data-oid='inbox/album/cat mirrored.jpg'] .look").click()
    card = page.locator("dialog.viewer .card")
    expect(card).to_have_attribute("data-state", "done")
    add(card, "Mirror")
    expect(said(card, "Mirror").get_by_text("you", exact=True)).to_be_visible()
    expect(card.locator(".likes")).to_be_visible()
    no_objection(page)
    assert page.evaluate("document.querySelector('.viewer .stage').scrollWidth") <= 360
    visitor.shot("phone-teaching")
    card.get_by_role("button", name="Take back Mirror").click()
    expect(card.get_by_text("Taken back: Mirror.")).to_be_visible()
