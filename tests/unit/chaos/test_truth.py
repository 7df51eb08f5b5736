"""What is right is computed with what the captions were taught, and without it on demand."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from ops.chaos import truth as module
from ops.chaos.captions import Lesson
from ops.chaos.truth import Truth


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The commands that are run. Tags have the score 1 while something is taught, otherwise 0."""
    ran: list[tuple[str, ...]] = []
    taught: set[str] = set()

    def wildtag(
        arguments: tuple[str, ...], environment: Mapping[str, str], _: float = 0
    ) -> subprocess.CompletedProcess[str]:
        ran.append(arguments)
        version = environment["WILDTAG_CAPTIONS"]
        if arguments[0] == "captions":
            (taught.add if arguments[1] == "add" else taught.discard)(version)
            return subprocess.CompletedProcess(arguments, 0, "", "")
        rows = [{"key": name, "tags": [{"label": "cat", "score": int(version in taught)}]} for name in arguments[2:]]
        return subprocess.CompletedProcess(arguments, 0, "\n".join(map(json.dumps, rows)), "")

    monkeypatch.setattr(module, "wildtag", wildtag)
    return ran


def test_each_version_is_taught_once_and_forgets_on_demand(tmp_path: Path, commands: list[tuple[str, ...]]) -> None:
    truth = Truth(tmp_path, [Lesson("v@1", "a cat", 1.0, 2.0), Lesson("v@1", "a dog", 3.0)])
    assert truth.tags([(0, "v@1"), (0, "w@1")]) == {(0, "v@1"): {"cat": 1}, (0, "w@1"): {"cat": 0}}
    assert truth.tags([(1, "v@1")]) == {(1, "v@1"): {"cat": 1}}
    assert truth.untaught_tags([(1, "v@1")]) == {(1, "v@1"): {"cat": 0}}
    assert truth.tags([(1, "v@1")]) == {(1, "v@1"): {"cat": 1}}
    teaching = [one[1:-4] for one in commands if one[0] == "captions"]
    assert teaching == [("add", "a cat", "a dog"), ("remove",), ("add", "a cat", "a dog")]
