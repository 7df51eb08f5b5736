"""One stack and one browser for all tests of the page, and further gateways over that stack's Redis."""

from __future__ import annotations

import os
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ops.chaos.passive_rules import faults
from tests.acceptance.stack import Stack
from tests.browser import album as filling
from tests.browser import chromium
from tests.eventually import eventually
from workers.embedded.ports import free_port
from workers.embedded.stack import command, running
from workers.settings.settings import Settings

if TYPE_CHECKING:  # it may not be installed
    from playwright.sync_api import Browser

    from tests.browser.visitor import Visitor

collect_ignore_glob: list[str] = []
if chromium.missing() and os.environ.get("CI") != "true":
    collect_ignore_glob.append("test_*.py")

LARGEST = 2 * 2**20  # bytes of an image in these tests


@pytest.fixture(scope="package")
def stack(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack."""
    home = tmp_path_factory.mktemp("browser") / "home"
    shutil.copytree(prepared, home)
    # ports of its own: another stack that starts at the same moment would choose the same ones
    ports = {f"WILDTAG_{name}_PORT": str(free_port(0)) for name in ("GATEWAY", "FLOWER")}
    # a model that is not there, so that one way to segment fails
    made = Stack(home, WILDTAG_MAX_OBJECT_BYTES=str(LARGEST), WILDTAG_PROPOSALS=str(home / "no-model"), **ports)
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="package")
def address(stack: Stack) -> str:
    """Of the stack's own gateway."""
    from workers.supervision.supervisor import read_stack  # noqa: PLC0415

    info = read_stack(stack.home)
    assert info is not None
    return info.addresses["gateway"]


@pytest.fixture(scope="package")
def album(stack: Stack, address: str) -> str:
    """The address of the gateway of a stack whose bucket has the photographs of ``tests.browser.album``."""
    filling.fill(stack)
    filling.indexed(address, "cat.jpg", "cat darker.jpg", "cat mirrored.jpg", "coffee.jpg", "rocket.jpg")
    return address


class Gateway:
    """One more gateway over the stack's Redis, to be stopped and started again."""

    def __init__(self, stack: Stack, **settings: str) -> None:
        here = running(Settings(home=stack.home))
        assert here is not None
        self.port = free_port(0)
        self.address = f"http://127.0.0.1:{self.port}"
        self._environment = {**here.process_environment(), "WILDTAG_GATEWAY_PORT": str(self.port), **settings}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(command("gateway"), env=self._environment)
        eventually(self._answers, 60, lambda: "the gateway does not answer")

    def stop(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/readyz", timeout=5):
                return True
        except OSError:
            return False


@pytest.fixture
def make_gateway(stack: Stack) -> Iterator[Callable[..., Gateway]]:
    """Makes gateways that end with the test."""
    made: list[Gateway] = []

    def make(**settings: str) -> Gateway:
        made.append(Gateway(stack, **settings))
        made[-1].start()
        return made[-1]

    yield make
    for gateway in made:
        gateway.stop()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium; it ends with this folder's tests, for Playwright keeps an event loop in the thread of the tests."""
    if (lacking := chromium.missing()) is not None:
        pytest.fail(chromium.MISSING.format(lacking))
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium.program(), args=chromium.FLAGS)
        yield made
        made.close()


@pytest.fixture(scope="session")
def shots(pytestconfig: pytest.Config) -> Path:
    """Where screenshots are kept."""
    folder = pytestconfig.rootpath / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def visit(browser: Browser, stack: Stack, address: str, shots: Path) -> Iterator[Callable[..., Visitor]]:
    """Makes visitors; afterwards none may have met an error or a request that left the host."""
    from tests.browser.visitor import Visitor  # noqa: PLC0415

    # what an earlier test has tagged again would be newer than what this one looks for
    eventually(stack.at_rest, 120, lambda: f"{stack.counts()}", every_s=0.1)
    made: list[Visitor] = []

    def make(at: str = address, rules: Any = faults, **context: Any) -> Visitor:
        page = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context}).new_page()
        made.append(Visitor(page, at, shots, rules))
        return made[-1]

    yield make
    for visitor in made:
        visitor.page.context.close()
    assert [fault for visitor in made for fault in visitor.faults] == []
