"""A person in front of the page: what they do, what they see, and what the browser holds against the page."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Locator, Page, Request, Response, expect

from ops.chaos.passive_rules import Answer, faults

PATIENCE_MS = 60_000  # for the tags of an image, on a busy machine
expect.set_options(timeout=PATIENCE_MS)  # its own 5 s are exceeded whenever other tests keep the processors busy
_REFUSED = re.compile(r"Failed to load resource: .*")  # Chromium says so of every answer that is an error

_TRANSFER = """([files]) => {
    const transfer = new DataTransfer();
    for (const [name, type, base64] of files) {
        const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
        transfer.items.add(new File([bytes], name, { type }));
    }
    return transfer;
}"""
_PASTE = """([clipboardData]) => document.dispatchEvent(
    new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }))"""


_VIOLATION = re.compile("violates its policy|Trusted(HTML|ScriptURL)|TrustedTypePolicy")
_VIOLATIONS = """addEventListener("securitypolicyviolation", (event) => console.error(
    "violates its policy:", event.violatedDirective, event.blockedURI, event.sample, event.sourceFile))"""
Rules = Callable[[Answer], list[str]]


class Visitor:
    """One tab. ``faults``: errors of the page, requests that leave the host, and answers that break the ``rules``."""

    def __init__(self, page: Page, address: str, shots: Path, rules: Rules = faults) -> None:
        self.page = page
        self.address = address
        self.faults: list[str] = []
        self.refusals_expected = False
        self.violations_expected = False
        self.others_answer = False  # a test answers in place of the gateway
        self._rules = rules
        self._shots = shots
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("request", self._asked)
        page.on("response", self._answered)
        page.add_init_script(_VIOLATIONS)

    def open(self, route: str = "") -> Page:
        """Go to an address of the page."""
        self.page.goto(f"{self.address}/{route}")
        return self.page

    def drop(self, *files: tuple[str, bytes]) -> None:
        """Drop files onto the page."""
        self.drop_on("#drop", *files)

    def drop_on(self, selector: str, *files: tuple[str, bytes]) -> None:
        """Drop files onto an element."""
        self.page.dispatch_event(selector, "drop", {"dataTransfer": self._transfer(files)})

    def paste(self, *files: tuple[str, bytes]) -> None:
        """Paste files."""
        self.page.evaluate(_PASTE, [self._transfer(files)])

    def card(self, title: str) -> Locator:
        """The card of an image."""
        return self.page.get_by_role("article", name=title, exact=True)

    def tagged(self, title: str) -> Locator:
        """The card of an image, once it has its tags."""
        card = self.card(title)
        expect(card).to_have_attribute("data-state", "done")
        return card

    def labels(self, within: Locator) -> list[str]:
        """The tags that are shown there."""
        return within.locator(".tag .label").all_inner_texts()

    def shot(self, name: str) -> None:
        """Keep a screenshot, for people to look at."""
        self.page.screenshot(path=self._shots / f"{name}.png")

    def _transfer(self, files: tuple[tuple[str, bytes], ...]) -> Any:
        packed = [[name, "image/png", base64.b64encode(data).decode()] for name, data in files]
        return self.page.evaluate_handle(_TRANSFER, [packed])

    def _said(self, message: ConsoleMessage) -> None:
        refusal = self.refusals_expected and _REFUSED.fullmatch(message.text)
        violation = self.violations_expected and _VIOLATION.search(message.text)
        if message.type in ("error", "warning") and not refusal and not violation:
            self.faults.append(f"{message.type}: {message.text} {message.location}")

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
            self.faults.append(f"asked {request.url}")

    def _answered(self, response: Response) -> None:
        parts = urlsplit(response.url)
        if parts.scheme not in ("http", "https") or self.others_answer:
            return
        headers = [(name, value) for name, values in response.headers.items() for value in values.split("\n")]
        path = parts.path.removeprefix(urlsplit(self.address).path.rstrip("/"))
        answer = Answer(path, response.status, headers, secure=parts.scheme == "https")
        self.faults += [
            f"{response.request.method} {path} {response.status}: {fault}" for fault in self._rules(answer)
        ]
