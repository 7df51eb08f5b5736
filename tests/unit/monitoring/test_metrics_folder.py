"""What processes have counted outlasts them: no counter goes back, and the folder does not grow."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
import structlog

from tests.unit.monitoring.forked import forked, killed, samples
from workers.monitoring import value_files
from workers.monitoring.catalogue import BATCH_SIZE, CACHE_REQUESTS, STAGE_BUSY
from workers.monitoring.meter import Meter
from workers.monitoring.metrics_folder import FolderBusy, MetricsFolder

BUSY = "wildtag_stage_busy_seconds_total scoring"
MESSAGES = "wildtag_batch_objects_count scoring"


def work(meter: Meter, number: int = 0) -> None:
    meter.count(STAGE_BUSY, 2, "scoring")
    meter.observe(BATCH_SIZE, 1 + number % 9, "scoring")
    meter.count(CACHE_REQUESTS, 1, f"cache {number % 3}", "hit")


@pytest.mark.long
def test_after_200_restarts_nothing_is_lost_and_the_folder_is_small(meter: Meter, folder: Path) -> None:
    seen = 0.0
    for number in range(200):
        forked(lambda number=number: work(meter, number), killed)  # type: ignore[misc]  # a loop variable
        if number % 7 == 0:
            now = samples(folder)[BUSY]
            assert now == 2 * (number + 1) > seen
            seen = now
        elif number % 7 == 3:  # a successor begins, and nobody looks
            MetricsFolder(folder).tidy()
            assert len(list(folder.iterdir())) <= 4
    found = samples(folder)
    assert (found[BUSY], found[MESSAGES]) == (400, 200)
    assert sum(value for name, value in found.items() if name.startswith("wildtag_cache_requests")) == 200
    assert found["wildtag_batch_objects_sum scoring"] == sum(1 + number % 9 for number in range(200))
    assert found["wildtag_batch_objects_bucket scoring +Inf"] == 200
    files = list(folder.iterdir())
    assert len(files) == 4
    assert sum(file.stat().st_size for file in files) < 100_000


def test_the_living_are_not_merged(meter: Meter, folder: Path) -> None:
    work(meter)
    forked(lambda: work(meter))
    assert samples(folder)[BUSY] == 4
    own = {file.name for file in folder.glob(f"*_{os.getpid()}-*.db")}
    assert len(own) == 2
    work(meter)
    assert samples(folder)[BUSY] == 6


@pytest.mark.parametrize("step", ["write_json", "unlink"])
def test_a_merge_that_is_killed_counts_nothing_twice(
    meter: Meter, folder: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before and after the moment from which the merged files count."""
    for _ in range(3):
        forked(lambda: work(meter))

    def merging() -> None:
        if step == "write_json":
            monkeypatch.setattr("workers.monitoring.metrics_folder.write_json", lambda *_: killed())
        else:
            monkeypatch.setattr(
                Path, "unlink", lambda self, **_: killed() if self.name.startswith("counter_") else None
            )
            monkeypatch.setattr(value_files, "write", _written)
        MetricsFolder(folder).tidy()

    forked(merging)
    assert samples(folder)[BUSY] == 6
    forked(lambda: work(meter))
    assert samples(folder)[BUSY] == 8
    assert len(list(folder.iterdir())) == 4


def _written(file: Path, content: dict[str, float]) -> None:
    """As ``value_files.write``, without a look whether the file is there."""
    value_files.reserve(file, 65_536)
    stored = value_files._file(str(file))
    for key, value in content.items():
        stored.write_value(key, value, 0.0)
    stored.close()


def test_readers_wait_for_each_other(meter: Meter, folder: Path) -> None:
    for _ in range(10):
        forked(lambda: work(meter))
    readers = []
    for _ in range(4):
        pid = os.fork()
        if not pid:
            good = all(samples(folder)[BUSY] == 20 for _ in range(5))
            os._exit(0 if good else 1)
        readers.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in readers] == [0] * 4


def test_a_reader_that_hangs_is_not_waited_for(meter: Meter, folder: Path) -> None:
    work(meter)
    here, there = os.pipe()
    pid = os.fork()
    if not pid:
        with MetricsFolder(folder)._locked():
            os.write(there, b".")
            signal.pause()
    os.read(here, 1)
    try:
        MetricsFolder(folder).tidy()
        with pytest.raises(FolderBusy), MetricsFolder(folder)._locked(patience_s=0.05):
            pass
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert samples(folder)[BUSY] == 2


def test_a_damaged_file_of_a_dead_process_does_not_stop_the_others(meter: Meter, folder: Path) -> None:
    work(meter)
    pid = forked(lambda: work(meter))
    (file,) = folder.glob(f"counter_{pid}-*.db")
    data = bytearray(file.read_bytes())
    data[8:12] = (10**6).to_bytes(4, "little")  # the length of the first key
    file.write_bytes(data)
    assert samples(folder)[BUSY] == 2
    assert samples(folder)[MESSAGES] == 2
    assert not file.exists()


def test_a_process_that_was_killed_before_it_had_a_file(meter: Meter, folder: Path) -> None:
    work(meter)
    (folder / ".counter_999999-1.db").write_bytes(b"")
    forked(lambda: work(meter))
    assert samples(folder)[BUSY] == 4
    assert not list(folder.glob(".*"))


def test_a_folder_that_is_not_there_is_empty_and_a_cleared_one_begins_anew(meter: Meter, folder: Path) -> None:
    assert samples(folder) == {}
    MetricsFolder(folder).tidy()
    assert not folder.exists()
    forked(lambda: work(meter))
    assert samples(folder)[BUSY] == 2
    MetricsFolder(folder).clear()
    assert samples(folder) == {}
    forked(lambda: work(meter))
    assert samples(folder)[BUSY] == 2


def test_a_state_that_cannot_be_read_is_no_fault(meter: Meter, folder: Path) -> None:
    forked(lambda: work(meter))
    samples(folder)
    (folder / "merged.json").write_text("{")
    work(meter)
    with structlog.testing.capture_logs() as said:
        assert samples(folder)[BUSY] == 2
    assert said[0]["event"] == "metrics of ended processes are lost"


def test_a_folder_that_was_removed_under_a_process_costs_only_its_numbers(meter: Meter, folder: Path) -> None:
    work(meter)
    shutil.rmtree(folder)
    work(meter)
    meter.count(STAGE_BUSY, 1, "embedding")
    assert samples(folder) == {}
    forked(lambda: work(meter))
    assert samples(folder)[BUSY] == 2
