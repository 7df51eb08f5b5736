"""Stacks of the tests' own, and one that runs for many.

A stack takes seconds to start. Tests that start, kill or configure one have their own; those that only use one
share ``running``, and each has keys of its own there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance import caddy, nginx
from tests.acceptance.stack import Stack, started
from tests.contract.rabbitmq_server import SERVER

collect_ignore_glob: list[str] = []
if not SERVER.exists() and os.environ.get("CI") != "true":
    collect_ignore_glob.append("test_rabbitmq.py")
if None in {nginx.program(), caddy.program()} and os.environ.get("CI") != "true":
    collect_ignore_glob.append("test_reverse_proxy.py")

SHADOWING = ("tasks", "workers", "vectordb", "ops", "celeryconfig")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those who share the stack come last, so that it costs nobody else anything."""
    items.sort(key=lambda item: "running" in getattr(item, "fixturenames", ()))


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
    """The shared stack, and what ``results`` said when it was new. Its sweep, which tags again, stays out of it.

    It is started in the folder of another project, whose modules have the names of ours.
    """
    base = tmp_path_factory.mktemp("running")
    folder = base / "another project"
    folder.mkdir()
    for name in SHADOWING:
        (folder / f"{name}.py").write_text("raise ImportError('a module of the current folder was imported')\n")
    with started(prepared, base / "home", folder, WILDTAG_RESCAN_S="3600", WILDTAG_GRACE_S="2") as stack:
        yield stack, stack.wildtag("results").stderr


@pytest.fixture(scope="session")
def running(begun: tuple[Stack, str]) -> Stack:
    """A stack for all tests that only use one: they keep to keys of their own and give the captions back."""
    return begun[0]
