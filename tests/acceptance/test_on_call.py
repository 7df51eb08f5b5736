"""Sixty images while a worker hangs: metrics, status, its check and Flower's pages show it, and that it is over."""

from __future__ import annotations

import io
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.acceptance.images import drop, photograph
from tests.acceptance.stack import Stack
from tests.acceptance.test_operating import check, suspended
from tests.browser import chromium
from tests.eventually import eventually
from tests.exposition import values
from workers.embedded.private_home import flower_auth_file

pytestmark = pytest.mark.timeout(300)

GOOD, BAD = 57, 3


def variants(count: int) -> list[bytes]:
    """Different small JPEGs of one photograph."""
    cat = Image.open(io.BytesIO(photograph("chelsea.png"))).convert("RGB")
    made = []
    for n in range(count):
        out = io.BytesIO()
        cat.crop((n, 0, n + 200, 200)).save(out, "JPEG")
        made.append(out.getvalue())
    return made


def metric(stack: Stack, name: str, *labels: str) -> float:
    """A series of ``/metrics``; 0 if there is none."""
    with urllib.request.urlopen(f"{stack.info().addresses['gateway']}/metrics", timeout=10) as answer:
        return values(answer.read().decode()).get(name, {}).get(labels, 0.0)


def shown_by_flower(stack: Stack, folder: Path) -> str:
    """What its page of tasks says; a screenshot is in the folder."""
    from playwright.sync_api import expect, sync_playwright  # noqa: PLC0415 -- only where Chromium is

    user, _, password = flower_auth_file(stack.home).read_text().strip().partition(":")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.program(), args=chromium.FLAGS)
        page = browser.new_context(http_credentials={"username": user, "password": password}).new_page()
        page.goto(f"{stack.info().addresses['flower'].rstrip('/')}/tasks")
        expect(page.locator("#tasks-table tbody tr").first).to_be_visible()
        text = page.locator("#tasks-table").inner_text()
        page.screenshot(path=folder / "flower.png")
        browser.close()
    return text


def test_a_worker_that_hangs_is_seen_everywhere(make_stack: Callable[..., Stack], tmp_path: Path) -> None:
    if (lacking := chromium.missing()) is not None:
        pytest.skip(chromium.MISSING.format(lacking))
    stack = make_stack()
    stack.start()
    assert check(stack)[0] == 0
    with suspended(stack, "worker-retrieval"):
        for number, data in enumerate(variants(GOOD)):
            drop(stack.inbox, f"{number}.jpg", data)
        for number in range(BAD):
            drop(stack.inbox, f"bad {number}.jpg", b"no image" * (number + 1))
        eventually(lambda: metric(stack, "wildtag_objects_accepted_total") == GOOD + BAD, 60, stack.said)
        eventually(lambda: metric(stack, "wildtag_queue_objects", "retrieval") == GOOD, 60, stack.said)
        failed = "wildtag_objects_finished_total", "not-an-image", "failed"
        eventually(lambda: metric(stack, *failed) == BAD, 30, stack.said)
        eventually(lambda: metric(stack, "wildtag_ledger_objects") == GOOD, 30, stack.said)
        time.sleep(1)  # so that the oldest is older than a second
        oldest = metric(stack, "wildtag_queue_oldest_seconds", "retrieval")
        assert 1 < oldest < 60
        assert metric(stack, "wildtag_ledger_oldest_seconds") >= oldest
        code, said = check(stack, "--warning-oldest", "0.5", "--critical-oldest", "1")
        assert code == 2, said
        assert "in retrieval, the oldest since" in said
    stack.settled(GOOD + BAD)
    assert metric(stack, "wildtag_objects_finished_total", "", "done") == GOOD
    assert metric(stack, "wildtag_object_duration_seconds_count") == GOOD + BAD
    assert metric(stack, "wildtag_object_duration_seconds_sum") > GOOD
    assert metric(stack, "wildtag_stage_duration_seconds_sum", "retrieval") > GOOD
    for name in ("wildtag_ledger_objects", "wildtag_queue_objects"):
        assert metric(stack, name, *(["retrieval"] if "queue" in name else [])) == 0
    # three of sixty are below the share that warns
    assert check(stack)[0] == 0
    shown = shown_by_flower(stack, tmp_path)
    assert "SUCCESS" in shown
    assert any(
        f"wildtag.{stage}" in shown for stage in ("retrieval", "extraction", "scoring")
    )  # it shows the last ten
