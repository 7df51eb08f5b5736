"""Flower's tasks survive a restart, and a file that cannot be used costs them and nothing else."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from flower.events import EventsState  # type: ignore[import-untyped]  # it has no types
from structlog.testing import capture_logs

from workers.processes.flower_state import MADE_BY, StateFile


def event(type_: str, **fields: object) -> dict[str, object]:
    """An event as Celery's receiver hands it on."""
    now = time.time()
    about = {
        "hostname": "embedding@host",
        "timestamp": now,
        "local_received": now,
        "clock": 1,
        "pid": 1,
        "utcoffset": 0,
    }
    return {"type": type_, **about, **fields}


def known(*tasks: str, limit: int = 100) -> Any:
    """What Flower knows after these tasks of one worker."""
    state = EventsState(max_tasks_in_memory=limit)
    state.event(event("worker-online", freq=2.0))
    for uuid in tasks:
        for what in ("received", "succeeded"):
            state.event(event(f"task-{what}", uuid=uuid, name="embedding", result="'1 done'"))
    return state


@pytest.fixture
def file(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "flower" / "tasks")


def refused(file: StateFile) -> str:
    """Why a file is not loaded."""
    with capture_logs() as logs:
        assert file.load() is None
    (line,) = logs
    assert line["event"] == "tasks of Flower not loaded"
    return str(line["reason"])


def test_tasks_and_workers_are_there_again(file: StateFile) -> None:
    assert file.load() is None, "nothing was saved, and nothing is said"
    file.save(known("a", "b"))
    found = file.load()
    assert found is not None
    assert {uuid: task.state for uuid, task in found.tasks.items()} == {"a": "SUCCESS", "b": "SUCCESS"}
    assert found.tasks["a"].result == "'1 done'"
    assert found.counter["embedding@host"]["task-succeeded"] == 2
    found.event(event("task-started", uuid="c"))
    assert found.tasks["c"].state == "STARTED"


def test_only_its_user_can_read_the_file(file: StateFile) -> None:
    file.save(known("a"))
    assert file.file.stat().st_mode & 0o777 == 0o600
    assert file.file.parent.stat().st_mode & 0o777 == 0o700
    assert list(file.file.parent.iterdir()) == [file.file]


def test_the_file_holds_no_more_tasks_than_flower(file: StateFile) -> None:
    file.save(known(*(f"task {number}" for number in range(50)), limit=10))
    found = file.load()
    assert found is not None
    assert len(found.tasks) == 10


def test_nothing_is_written_while_there_are_no_tasks(file: StateFile) -> None:
    state = known("a")
    file.save(state)
    before = file.file.stat().st_ino
    file.save(state)
    assert file.file.stat().st_ino == before
    state.event(event("task-received", uuid="b", name="embedding"))
    file.save(state)
    assert file.file.stat().st_ino != before


@pytest.mark.parametrize("kept", [0, 1, len(MADE_BY) - 1, len(MADE_BY), len(MADE_BY) + 1, 0.5, -1])
def test_a_truncated_file_is_not_loaded_and_is_replaced(file: StateFile, kept: float) -> None:
    file.save(known("a", "b"))
    whole = file.file.read_bytes()
    file.file.write_bytes(whole[: int(len(whole) * kept) if kept == 0.5 else int(kept)])
    assert refused(file)
    file.save(known("c"))
    found = StateFile(file.file).load()
    assert found is not None
    assert set(found.tasks) == {"c"}


@pytest.mark.parametrize("content", [b"\x80\x04.", b"cos\nsystem\n", b"N.", b"\x00" * 100])
def test_a_file_of_something_else_is_not_loaded(file: StateFile, content: bytes) -> None:
    file.file.parent.mkdir()
    file.file.write_bytes(MADE_BY + content)
    file.file.chmod(0o600)
    assert refused(file)


def test_a_file_of_another_version_is_not_loaded(file: StateFile) -> None:
    file.save(known("a"))
    file.file.write_bytes(file.file.read_bytes().replace(b"Flower ", b"Flower 1"))
    assert "Flower 1" in refused(file)


def test_a_file_that_others_may_write_is_not_loaded(file: StateFile) -> None:
    file.save(known("a"))
    file.file.chmod(0o620)
    assert refused(file) == "others may write this file"


def test_a_file_that_cannot_be_written_is_reported_and_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "flower").write_text("a file in the place of the folder")
    file = StateFile(tmp_path / "flower" / "tasks")
    with capture_logs() as logs:
        file.save(known("a"))
    assert [line["event"] for line in logs] == ["tasks of Flower not saved"]


def test_what_a_kill_left_of_the_last_save_does_not_stop_the_next(file: StateFile) -> None:
    file.file.parent.mkdir()
    file.file.with_suffix(".new").write_bytes(b"half of it")
    file.save(known("a"))
    assert list(file.file.parent.iterdir()) == [file.file]
