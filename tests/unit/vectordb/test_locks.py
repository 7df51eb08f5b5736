"""A lock between processes leaves no file behind, and keeps others out however its file comes and goes."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from vectordb.library import BuildRunning
from vectordb.locks import alone


def test_who_comes_second_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    file = tmp_path / "folder" / ".v@1.lock"
    with alone(file, "v@1"), pytest.raises(BuildRunning, match=r"v@1 is being built"), alone(file, "v@1"):
        raise AssertionError("both have it")
    assert not file.exists()
    with pytest.raises(ValueError, match="inside"), alone(file, "v@1"):
        raise ValueError("inside")
    assert not file.exists()


def test_a_file_that_its_holder_removes_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, flock = tmp_path / ".v@1.lock", fcntl.flock
    calls: list[int] = []

    def late(descriptor: int, how: int) -> None:
        if not calls:
            file.unlink()
        calls.append(how)
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with alone(file, "v@1"):
        assert len(calls) == 2
        assert file.exists(), "others must find what is locked"
        with pytest.raises(BuildRunning), alone(file, "v@1"):
            raise AssertionError("both have it")
