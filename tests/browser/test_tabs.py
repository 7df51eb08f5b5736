"""Several tabs of one browser, which allows six connections to the gateway over HTTP/1.1."""

from __future__ import annotations

import io
import re
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.acceptance.images import drop, one_pixel, photograph
from tests.acceptance.stack import Stack
from tests.browser.visitor import Visitor
from tests.eventually import eventually

Visit = Callable[..., Visitor]
KEY = "a-key-of-these-tests"
# a tab that says whether it is visible, as browsers do
VISIBILITY = """
let state = "visible";
Object.defineProperty(Document.prototype, "visibilityState", { get: () => state });
Object.defineProperty(Document.prototype, "hidden", { get: () => state === "hidden" });
addEventListener("show-state", ({ detail }) => {
  state = detail;
  document.dispatchEvent(new Event("visibilitychange"));
});
"""


def picture(number: int) -> bytes:
    """An image of its own."""
    data = io.BytesIO()
    Image.new("RGB", (64, 64), (number * 37 % 256, number * 91 % 256, number * 17 % 256)).save(data, "PNG")
    return data.getvalue()


def streams(address: str) -> int:
    """The open event streams, as the gateway counts them."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=10) as answer:
        found = re.search(r"^wildtag_event_streams ([0-9.]+)", answer.read().decode(), re.MULTILINE)
    assert found
    return int(float(found[1]))


def appear(page: Page, state: str) -> None:
    """Have a tab be visible or hidden."""
    page.evaluate("(state) => dispatchEvent(new CustomEvent('show-state', { detail: state }))", state)


@pytest.fixture
def tabs(visit: Visit) -> Callable[..., list[Visitor]]:
    """Opens tabs of one browser."""

    def make(number: int, address: str | None = None) -> list[Visitor]:
        first = visit() if address is None else visit(address)
        context: BrowserContext = first.page.context
        context.add_init_script(VISIBILITY)
        made = [first]
        made += [Visitor(context.new_page(), first.address, first._shots) for _ in range(number - 1)]
        for one in made:
            one.open()
            expect(one.page.locator("#wall")).to_have_attribute("aria-busy", "false")
        return made

    return make


def faults(made: list[Visitor]) -> list[str]:
    return [fault for one in made for fault in one.faults]


@pytest.mark.long
def test_a_seventh_tab_loads_uploads_and_hears_of_everything(
    make_gateway: Any, tabs: Callable[..., list[Visitor]], stack: Stack
) -> None:
    gateway = make_gateway()
    seven = tabs(7, gateway.address)
    assert streams(gateway.address) == 1
    last = seven[-1]
    last.drop(("seventh.png", photograph("coffee.png")))
    assert "espresso" in last.labels(last.tagged("seventh.png"))
    drop(stack.inbox, "for all tabs.png", photograph("rocket.jpg"))
    for one in seven:
        expect(one.page.locator("#wall [data-oid='inbox/for all tabs.png']")).to_be_visible()
    assert streams(gateway.address) == 1
    assert faults(seven) == []


def test_twenty_images_in_each_of_two_tabs(tabs: Callable[..., list[Visitor]]) -> None:
    two = tabs(2)
    for tab, one in enumerate(two):
        one.drop(*[(f"{tab} {number}.png", picture(100 * tab + number)) for number in range(20)])
    for tab, one in enumerate(two):
        for number in range(20):
            one.tagged(f"{tab} {number}.png")
    assert faults(two) == []


def test_the_stream_is_let_go_while_no_tab_is_visible_and_nothing_is_missed(
    make_gateway: Any, tabs: Callable[..., list[Visitor]], stack: Stack
) -> None:
    gateway = make_gateway()
    first, second = tabs(2, gateway.address)
    appear(first.page, "hidden")  # the one that opened the stream
    drop(stack.inbox, "one is visible.png", one_pixel() + b"1")
    expect(second.page.locator("#wall [data-oid='inbox/one is visible.png']")).to_be_visible()
    assert streams(gateway.address) == 1
    appear(second.page, "hidden")
    eventually(lambda: streams(gateway.address) == 0, 30)
    drop(stack.inbox, "none is visible.png", one_pixel() + b"2")
    eventually(lambda: "none is visible.png" in stack.known(), 60)
    assert not second.page.locator("#wall [data-oid='inbox/none is visible.png']").is_visible()
    appear(second.page, "visible")
    for one in (first, second):  # the hidden one hears of it, too
        expect(one.page.locator("#wall [data-oid='inbox/none is visible.png']")).to_be_visible()
    assert streams(gateway.address) == 1


def test_another_tab_goes_on_when_the_first_one_is_closed(tabs: Callable[..., list[Visitor]], stack: Stack) -> None:
    first, second = tabs(2)
    first.page.close()
    drop(stack.inbox, "after closing.png", one_pixel() + b"3")
    expect(second.page.locator("#wall [data-oid='inbox/after closing.png']")).to_be_visible()


@pytest.mark.long
def test_the_stream_is_taken_up_where_it_was_when_its_worker_ends(
    make_gateway: Any, tabs: Callable[..., list[Visitor]], stack: Stack, browser: Browser
) -> None:
    gateway = make_gateway()
    first, second = tabs(2, gateway.address)
    drop(stack.inbox, "before the end.png", one_pixel() + b"4")
    expect(first.page.locator("#wall [data-oid='inbox/before the end.png']")).to_be_visible()
    devtools = browser.new_browser_cdp_session()
    (worker,) = [
        one["targetId"] for one in devtools.send("Target.getTargets", {"filter": [{}]})["targetInfos"]
        if one["type"] == "shared_worker" and gateway.address in one["url"]
    ]  # fmt: skip
    devtools.send("Target.closeTarget", {"targetId": worker})
    drop(stack.inbox, "meanwhile.png", one_pixel() + b"5")
    for one in (first, second):
        expect(one.page.locator("#wall [data-oid='inbox/meanwhile.png']")).to_be_visible()
    eventually(lambda: streams(gateway.address) == 1, 30)


def test_signing_in_and_out_in_one_tab_concerns_the_others(make_gateway: Any, stack: Stack, visit: Visit) -> None:
    gateway = make_gateway(WILDTAG_KEY_REQUIRED="true", WILDTAG_ADMIN_KEY=KEY)
    first = visit(gateway.address)
    first.page.context.add_init_script(VISIBILITY)
    second = Visitor(first.page.context.new_page(), first.address, first._shots)
    for one in (first, second):
        one.refusals_expected = True
        one.open()
        expect(one.page.get_by_label("API key")).to_be_visible()
    first.page.get_by_label("API key").fill(KEY)
    first.page.get_by_label("API key").press("Enter")
    for one in (first, second):
        expect(one.page.get_by_role("dialog")).to_be_hidden()
        expect(one.page.locator("#wall")).to_have_attribute("aria-busy", "false")
        expect(one.page.get_by_role("button", name="Sign out")).to_be_visible()
    drop(stack.inbox, "signed in.png", one_pixel() + b"6")
    for one in (first, second):
        expect(one.page.locator("#wall [data-oid='inbox/signed in.png']")).to_be_visible()
    second.page.get_by_role("button", name="Sign out").click()
    for one in (first, second):
        expect(one.page.get_by_label("API key")).to_be_visible()


def test_a_page_that_comes_back_from_the_history_is_up_to_date(
    tabs: Callable[..., list[Visitor]], stack: Stack
) -> None:
    (one,) = tabs(1)
    one.page.goto(f"{one.address}/docs")
    drop(stack.inbox, "while away.png", one_pixel() + b"7")
    eventually(lambda: "while away.png" in stack.known(), 60)
    one.page.go_back()
    expect(one.page.locator("#wall [data-oid='inbox/while away.png']")).to_be_visible()
    drop(stack.inbox, "back again.png", one_pixel() + b"8")
    expect(one.page.locator("#wall [data-oid='inbox/back again.png']")).to_be_visible()


def test_without_shared_workers_each_tab_has_its_own_stream(visit: Visit, stack: Stack) -> None:
    one = visit()
    one.page.context.add_init_script("delete globalThis.SharedWorker")
    one.open()
    expect(one.page.locator("#wall")).to_have_attribute("aria-busy", "false")
    drop(stack.inbox, "own stream.png", one_pixel() + b"9")
    expect(one.page.locator("#wall [data-oid='inbox/own stream.png']")).to_be_visible()
