"""What tests of all tiers share: a real Redis of their own, on a unix socket, and captions that are encoded once."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import redis
import structlog
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # it has no types

from tests.browser import chromium
from tests.contract.rabbitmq_server import MISSING as RABBITMQ_MISSING
from tests.contract.rabbitmq_server import SERVER as RABBITMQ_SERVER
from tests.eventually import eventually
from workers.outages.tracker import OutageTracker
from workers.redis.connection import Client, connect
from workers.redis.keys import Keys
from workers.redis.server_program import choose_server

# read when torch is loaded: its threads would spin while they wait, on the few cores that all test processes share
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# a shared core may be away for longer than any example may take
hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")

STACKS = ("tests/acceptance/", "tests/browser/")  # what starts whole stacks, of each folder one at a time
# of those what starts none, and so may run beside them
NO_STACKS = (
    "tests/acceptance/test_evaluate_segmentation.py", "tests/acceptance/test_private_redis.py",
    "tests/acceptance/test_supervisor.py",
)  # fmt: skip


# what needs ``prepared`` and is run beside the first stacks, which take a minute to make it
LATER = ("tests/browser/", "tests/acceptance/test_evaluate_segmentation.py")


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # as above
    """Modules stay together, and so do folders whose tests start stacks: one process has them one after the other."""

    def _split_scope(self, nodeid: str) -> str:
        folders = () if nodeid.startswith(NO_STACKS) else STACKS
        return next((folder for folder in folders if nodeid.startswith(folder)), nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """Who runs what, when there are several processes (``make test``)."""
    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the other processes begin with tests for which nothing has to be made first.

    Raises ``UsageError`` for a test with the time in its id: the processes would find different tests.
    """
    now = str(int(time.time()))[:-4]
    if dated := next((item.nodeid for item in items if now in item.nodeid), None):
        raise pytest.UsageError(f"an id must not depend on the time: {dated}")
    items.sort(key=lambda item: (
        item.nodeid.startswith(("tests/golden/", "tests/unit/")), item.nodeid.startswith(LATER)
    ))  # fmt: skip


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say plainly when the page was left out. Of several processes, the one that says it loads no other conftest."""
    browser = Path(__file__).parent / "browser"
    asked = any(browser.is_relative_to(Path(argument.partition("::")[0]).absolute()) for argument in config.args)
    if asked and (lacking := chromium.missing()) is not None:
        terminalreporter.write_line(chromium.MISSING.format(lacking), yellow=True, bold=True)
    brokers = Path(__file__).parent / "contract" / "broker"
    asked = any(brokers.is_relative_to(Path(argument.partition("::")[0]).absolute()) for argument in config.args)
    if asked and config.option.markexpr != "not long" and not RABBITMQ_SERVER.exists():
        terminalreporter.write_line(RABBITMQ_MISSING, yellow=True, bold=True)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A server for this test run: the one on the PATH, else the package's."""
    program = choose_server().program.path
    # a socket's path must be short
    folder = tempfile.mkdtemp(prefix="wt-", dir="/tmp")
    socket = f"{folder}/redis.sock"
    server = subprocess.Popen(
        [program, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder],
        stdout=subprocess.DEVNULL, env={**os.environ},
    )  # fmt: skip
    client = redis.Redis(unix_socket_path=socket)
    eventually(client.ping, 20, every_s=0.02, despite=(redis.ConnectionError,))
    yield f"unix://{socket}"
    server.terminate()
    server.wait(10)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def plain_logging() -> Iterator[None]:
    """What runs in this process sets logging up for all of it: a command to a stream that ends with its test.

    After the loop of a long-running process, such as the listener's, commands would write their errors as log lines.
    """
    yield
    structlog.reset_defaults()
    if (logs := sys.modules.get("workers.telemetry.logs")) is not None:
        logs._state.clear()


TRACKERS: weakref.WeakSet[OutageTracker] = weakref.WeakSet()  # of this process
_start = OutageTracker.begin


def _begin(tracker: OutageTracker, *given: Any, **options: Any) -> None:
    TRACKERS.add(tracker)
    _start(tracker, *given, **options)


OutageTracker.begin = _begin  # type: ignore[assignment, method-assign]  # the only place that knows of all trackers


@pytest.fixture(autouse=True)
def ended_outages() -> Iterator[None]:
    """End all outages after a test: trackers would log reminders and publish outages during the tests that follow."""
    yield
    for tracker in list(TRACKERS):
        for outage in tracker.active():
            tracker.end(outage.name)
    TRACKERS.clear()


@pytest.fixture
def client(redis_url: str) -> Client:
    """A client to an empty Redis."""
    made = connect(redis_url)
    made.flushall()
    return made


@pytest.fixture
def keys() -> Keys:
    """Keys under a prefix that is not the default, so that none is written past it."""
    return Keys("test:")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with encoded captions, fewer than usual, to be copied; made once for all processes of a run."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    home, done = folder / "prepared", folder / "prepared.done"
    with (folder / "prepared.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            # searched as the whole list is, with a graph that is built in a third of the time
            env = {**os.environ, "WILDTAG_HOME": str(home), "WILDTAG_HNSW_M": "16", "WILDTAG_HNSW_EF_CONSTRUCT": "48",
                   "WILDTAG_QUANTISED": "true", "WILDTAG_VECTORS_ON_DISK": "true"}  # fmt: skip
            subprocess.run([sys.executable, "-m", "tests.few_captions"], env=env, check=True, timeout=300)
            done.touch()
    return home
