"""The page and the API documentation keep their own content security policies, with Trusted Types, in every view."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Error, expect

from tests.browser.album import FOLDER
from tests.browser.visitor import Visitor

Visit = Callable[..., Visitor]
VIEWS = {
    "": "Recent images", "#/tags": "Tags", "#/tag/cat": "cat", f"#/image/inbox/{FOLDER}cat.jpg": "cat.jpg",
    "#/search?q=cat": "cat", "#/duplicates": "Duplicates", "#/nothing": "wildtag",
}  # fmt: skip
SINKS = (
    "document.body.innerHTML = '<b>x</b>'", "document.body.insertAdjacentHTML('beforeend', 'x')",
    "document.createElement('script').src = 'main.js'", "new Worker('shared.js')",
    "trustedTypes.createPolicy('another', {})",
)  # fmt: skip


def test_no_view_violates_the_policy_of_the_page(visit: Visit, album: str) -> None:
    visitor = visit(album)
    for address, heading in VIEWS.items():
        page = visitor.open(address)
        expect(page.get_by_role("heading", name=heading).first).to_be_visible()
        expect(page.locator("#view")).not_to_contain_text("Loading")
    visitor.refusals_expected = True
    with visitor.page.expect_response(lambda answer: "no%20image.txt" in answer.url):
        visitor.drop(("no image.txt", b"x"))


def test_the_documentation_is_shown(visit: Visit, address: str) -> None:
    page = visit(address).open("docs")
    expect(page.get_by_role("heading", name="wildtag").first).to_be_visible()
    page.get_by_text("/v1/status", exact=True).first.click()
    expect(page.get_by_role("button", name="Try it out").first).to_be_visible()


@pytest.mark.parametrize("sink", SINKS)
def test_no_script_can_make_a_page_from_text(visit: Visit, address: str, sink: str) -> None:
    visitor = visit(address)
    page = visitor.open()
    visitor.violations_expected = True
    noted = page.expect_console_message(lambda message: message.text.startswith("violates its policy"))
    with noted, pytest.raises(Error, match=r"TrustedHTML|TrustedScriptURL|Policy"):
        page.evaluate(f"() => {{ {sink} }}")
