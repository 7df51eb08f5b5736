"""Stacks of the tests' own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.stack import Stack


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
