"""Writes ``docs/images/page.png``: the page of the running stack with two images uploaded.

Start the stack first, with an empty home: ``WILDTAG_HOME=DIR wildtag up``; then, with the same home,
``WILDTAG_HOME=DIR python -m ops.pictures.page``. It needs Chromium and the ``dev`` extra.

The file holds the labels that it shows (a text chunk ``labels``, a JSON list), so that a test finds out when the page
has other ones.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
from importlib import resources
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Page, expect, sync_playwright

from workers.cli.samples import tag_samples
from workers.embedded.stack import running
from workers.settings.settings import Settings
from workers.supervision.supervisor import read_stack
from workers.wiring.wiring import Wiring

FILE = Path(__file__).parents[2] / "docs" / "images" / "page.png"
PATIENCE_MS = 120_000
COLOURS = 200
LABELS = "labels"
LABELLED = "header nav a, h2, button, select option:checked"
SHOWN = {"chelsea.png": "cat.png", "coffee.png": "cup.png"}  # the last one comes first


def main() -> None:
    """Tag the sample photographs, upload two of them on the page, and save what the browser shows."""
    settings = Settings()
    here, info = running(settings), read_stack(settings.home)
    if here is None or info is None:
        raise SystemExit("no stack is running in this home: start `wildtag up` first")
    tag_samples(Wiring(here), lambda: None)
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has no sandbox for root; the page is our own
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        page = browser.new_page(viewport={"width": 1200, "height": 860}, color_scheme="light")
        page.set_default_timeout(PATIENCE_MS)
        shot = _shown(page, info.addresses["gateway"])
        labels = sorted({one.inner_text() for one in page.locator(LABELLED).all() if one.is_visible()})
        browser.close()
    picture = Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS)
    noted = PngInfo()
    noted.add_text(LABELS, json.dumps(labels))
    picture.save(FILE, optimize=True, pnginfo=noted)
    print(f"{FILE}: {FILE.stat().st_size / 1000:.0f} KB")


def _shown(page: Page, address: str) -> bytes:
    page.goto(address)
    with tempfile.TemporaryDirectory() as folder:
        for name, title in SHOWN.items():
            photograph = Path(folder) / title
            photograph.write_bytes(resources.files("skimage.data").joinpath(name).read_bytes())
            page.set_input_files("#files", photograph)
            card = page.get_by_role("article", name=title, exact=True)
            expect(card).to_have_attribute("data-state", "done", timeout=PATIENCE_MS)
    page.wait_for_timeout(1500)  # thumbnails fade in
    return page.screenshot()


if __name__ == "__main__":
    main()
