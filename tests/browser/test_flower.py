"""Flower in a browser: its pages load for its password, its tasks survive a restart, and nothing can be changed."""

from __future__ import annotations

import os
import re
import signal
import urllib.request
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, expect

from ops.chaos.passive_rules import flower_faults
from tests.acceptance.stack import Stack
from tests.browser.visitor import Visitor
from tests.eventually import eventually
from workers.embedded.private_home import flower_auth_file
from workers.supervision.supervisor import read_stack

Visit = Callable[..., Visitor]


@pytest.fixture
def flower(stack: Stack) -> str:
    info = read_stack(stack.home)
    assert info is not None
    return info.addresses["flower"].rstrip("/")


def opened(visit: Visit, stack: Stack, flower: str) -> Visitor:
    """Somebody who knows the password."""
    user, _, password = flower_auth_file(stack.home).read_text().strip().partition(":")
    return visit(flower, flower_faults, http_credentials={"username": user, "password": password})


def answers(flower: str) -> bool:
    """Whether it runs."""
    try:
        with urllib.request.urlopen(f"{flower}/healthcheck", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_without_the_password_nothing_is_shown(browser: Browser, flower: str) -> None:
    context = browser.new_context()
    assert context.request.get(f"{flower}/tasks").status == 401
    context.close()


def test_its_pages_load_and_have_no_buttons_that_change_something(visit: Visit, stack: Stack, flower: str) -> None:
    visitor = opened(visit, stack, flower)
    page = visitor.open()
    worker = page.get_by_role("link", name=re.compile("^Worker embedding@"))
    expect(worker).to_be_visible()
    visitor.shot("flower-workers")
    worker.click()
    expect(page.get_by_text("embedding@").first).to_be_visible()
    for name in ("Shut Down", "Grow", "Shrink", "Cancel Consumer", "Add", "Apply", "Soft", "Hard"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)
    visitor.open("broker")
    expect(page.get_by_text("inbox: events", exact=True)).to_be_visible()
    visitor.refusals_expected = True
    status = page.evaluate(
        """async () => (await fetch("/api/worker/shutdown/embedding@nowhere", { method: "POST" })).status"""
    )
    assert status == 403


def test_its_tasks_survive_a_restart(visit: Visit, stack: Stack, flower: str) -> None:
    visitor = opened(visit, stack, flower)
    page = visitor.open("tasks")
    rows = page.locator("#tasks-table tbody tr")
    expect(rows.filter(has_text=re.compile(r"wildtag\.")).first).to_be_visible()
    link = rows.locator("a[href*='/task/']").first.get_attribute("href")
    assert link is not None
    uuid = link.rpartition("/")[2]
    before = stack.process("flower")
    os.kill(before, signal.SIGTERM)
    # while it is away, the stack names no process for it
    eventually(
        lambda: stack.process("flower") != before and answers(flower), 60, stack.said, despite=(KeyError,)
    )  # fmt: skip
    visitor.open(f"task/{uuid}")
    expect(page.get_by_role("definition").filter(has_text=uuid).first).to_be_visible()
    visitor.open("tasks")
    expect(rows.filter(has_text=re.compile(r"wildtag\.")).first).to_be_visible()
    visitor.shot("flower-tasks")
