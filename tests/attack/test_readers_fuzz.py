"""Every reader, fuzzed: rows or its own error, in bounded time and memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.attack.fuzz_targets import GROUPS

ROOT = Path(__file__).parents[2]


def fuzzed(group: str, seconds: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.attack.fuzzing", group, str(seconds)],
        cwd=ROOT, capture_output=True, text=True, timeout=seconds + 120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


@pytest.mark.parametrize("group", GROUPS)
def test_changed_files(group: str) -> None:
    fuzzed(group, 3)  # with its start, five seconds


@pytest.mark.long
@pytest.mark.parametrize("group", GROUPS)
def test_many_changed_files(group: str) -> None:
    fuzzed(group, 120)
