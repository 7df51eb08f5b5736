"""The page when the server goes, wants a key, or comes back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it has no types
from playwright.sync_api import Route, expect

from tests.acceptance.images import drop, photograph
from tests.acceptance.stack import Stack
from tests.browser.visitor import Visitor
from workers.embedded.stack import running
from workers.outages.board import Outage, OutageBoard
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring

Visit = Callable[..., Visitor]
KEY = "a-key-of-these-tests"


def test_when_the_server_goes_the_page_says_so_and_goes_on_when_it_is_back(
    stack: Stack, make_gateway: Any, visit: Visit
) -> None:
    gateway = make_gateway()
    visitor = visit(gateway.address)
    visitor.refusals_expected = True
    page = visitor.open()
    expect(page.locator("#wall")).to_have_attribute("aria-busy", "false")
    gateway.stop()
    visitor.drop(("meanwhile.png", photograph("coffee.png")))
    expect(page.get_by_text("wildtag does not answer.")).to_be_visible()
    drop(stack.inbox, "unseen.png", photograph("rocket.jpg"))  # tagged while the page hears of nothing
    visitor.shot("offline")
    gateway.start()
    expect(page.locator("#banner")).to_be_hidden()
    assert "espresso" in visitor.labels(visitor.tagged("meanwhile.png"))
    expect(page.locator("#wall [data-oid='inbox/unseen.png']")).to_be_visible()
    assert len([key for key in stack.results() if key.startswith("uploads/")]) == len(
        list((stack.inbox / "uploads").glob("*"))
    )


def test_what_a_proxy_answers_in_place_of_the_gateway_is_outlasted_or_said(visit: Visit) -> None:
    visitor = visit()
    visitor.refusals_expected = visitor.others_answer = True
    page = visitor.open()
    statuses = [502, 504]

    def other(route: Route, status: int) -> None:
        route.fulfill(status=status, content_type="text/html", body="<html>nginx</html>")

    def answer(route: Route) -> None:
        if "large.png" in route.request.url:
            other(route, 413)
        elif "login.png" in route.request.url:
            other(route, 200)
        elif statuses:
            other(route, statuses.pop())
        else:
            route.continue_()

    page.route(re.compile(r"/v1/images\?"), answer)
    visitor.drop(("late.png", photograph("coffee.png")), ("large.png", photograph("coffee.png")))
    visitor.drop(("login.png", photograph("coffee.png")))
    assert "espresso" in visitor.labels(visitor.tagged("late.png"))
    too_large = "This file is too large: a server in between refuses files of this size."
    expect(visitor.card("large.png").get_by_text(too_large)).to_be_visible()
    expect(visitor.card("login.png").get_by_text("Another page answers in place of wildtag")).to_be_visible()


def test_where_a_key_is_wanted_one_signs_in_and_out(make_gateway: Any, visit: Visit) -> None:
    gateway = make_gateway(WILDTAG_KEY_REQUIRED="true", WILDTAG_ADMIN_KEY=KEY)
    visitor = visit(gateway.address)
    visitor.refusals_expected = True
    page = visitor.open()
    field = page.get_by_label("API key")
    expect(field).to_be_focused()
    visitor.shot("sign-in")
    field.fill("another-key-of-these-tests")
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Unknown API key.")).to_be_visible()
    field.fill(KEY)
    field.press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    visitor.drop(("coffee.png", photograph("coffee.png")))
    assert "espresso" in visitor.labels(visitor.tagged("coffee.png"))
    expect(page.locator("#wall").get_by_text("espresso").first).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(field).to_be_focused()


def test_a_link_with_a_key_signs_in_and_loses_the_key(make_gateway: Any, visit: Visit) -> None:
    """The link that `wildtag up` prints."""
    gateway = make_gateway(WILDTAG_KEY_REQUIRED="true", WILDTAG_ADMIN_KEY=KEY)
    visitor = visit(gateway.address)
    visitor.refusals_expected = True  # requests that were sent before the key
    page = visitor.open(f"#key={KEY}")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert KEY not in page.url
    page.go_back()
    assert KEY not in page.url
    visitor.open("#key=another-key-of-these-tests")
    expect(page.get_by_text("The key of this link is not valid.")).to_be_visible()


def test_what_is_away_is_named_with_what_waits_for_it(stack: Stack, visit: Visit) -> None:
    here = running(Settings(home=stack.home))
    assert here is not None
    wiring = Wiring(here)
    board = OutageBoard(wiring.redis, wiring.keys, "elsewhere-1", wiring.clock)
    page = visit(bypass_csp=True).open()  # for axe
    banner = page.locator("#banner")
    expect(page.locator("#wall")).to_have_attribute("aria-busy", "false")
    expect(banner).to_be_hidden()
    board.write([Outage(name="captions", reason="no answer", since=wiring.clock() - 60, waiting=3)])
    expect(banner).to_contain_text(re.compile(r"The caption server has been unavailable since \d"))
    expect(banner).to_contain_text("3 images are waiting for it. No data is lost.")
    serious = [v["id"] for v in Axe().run(page).response["violations"] if v["impact"] in {"serious", "critical"}]
    assert serious == []
    board.write([])
    expect(banner).to_be_hidden()


def test_removals_that_are_held_are_named_with_what_ends_it(stack: Stack, visit: Visit) -> None:
    here = running(Settings(home=stack.home))
    assert here is not None
    holds = Wiring(here).holds
    page = visit().open()
    banner = page.locator("#banner")
    expect(page.locator("#wall")).to_have_attribute("aria-busy", "false")
    holds.begin("archive", 40, 41, "the bucket is empty")
    try:
        expect(banner).to_contain_text("40 of 41 images in archive are missing: the bucket is empty.")
        expect(banner).to_contain_text("wildtag reconcile --confirm-removals")
    finally:
        holds.end("archive")
    expect(banner).to_be_hidden()
