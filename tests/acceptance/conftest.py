"""The captions are encoded once for all acceptance tests and copied into each home; and one stack that runs for many.

A stack takes twenty seconds to start. Tests that start, kill or configure one have their own; those that only use one
share ``running``, and each has keys of its own there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.stack import Stack, started

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before groups are made of the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them in one process, so that they share what was prepared; those who share the stack last.

    While it runs it takes a little of the cores from everybody else.
    """
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("acceptance"))
    items.sort(key=lambda item: "running" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with encoded captions and nothing else."""
    home = tmp_path_factory.mktemp("prepared")
    # a graph that is built in a third of the time: what is tested here does not depend on how good it is
    env = {**os.environ, "WILDTAG_HOME": str(home), "WILDTAG_HNSW_M": "16", "WILDTAG_HNSW_EF_CONSTRUCT": "48"}
    subprocess.run([sys.executable, "-m", "workers.cli", "prepare"], env=env, check=True, timeout=300)
    return home


@pytest.fixture
def make_stack(prepared: Path, tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Makes stacks that are ended with the test."""
    made: list[Stack] = []

    def make(name: str = "home", **settings: str) -> Stack:
        shutil.copytree(prepared, tmp_path / name)
        made.append(Stack(tmp_path / name, **settings))
        return made[-1]

    yield make
    for stack in made:
        stack.kill()


@pytest.fixture(scope="session")
def begun(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, str]]:
    """The shared stack, and what ``results`` said when it was new. Its sweep, which tags again, stays out of it."""
    with started(prepared, tmp_path_factory.mktemp("running") / "home", WILDTAG_RESCAN_S="3600") as stack:
        yield stack, stack.wildtag("results").stderr


@pytest.fixture(scope="session")
def running(begun: tuple[Stack, str]) -> Stack:
    """A stack for all tests that only use one: they keep to keys of their own and give the captions back."""
    return begun[0]
