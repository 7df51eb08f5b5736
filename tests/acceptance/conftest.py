"""The captions are encoded once for all acceptance tests and copied into each home."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.stack import Stack


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
