"""Each process counts in files of its own, a forked one, too; and what goes wrong never reaches who counts."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.unit.monitoring.forked import forked, samples
from workers.monitoring import value_files
from workers.monitoring.catalogue import (
    BATCH_SIZE,
    CATALOGUE,
    HTTP_DURATION,
    HTTP_REQUESTS,
    STAGE_BUSY,
    STORE_DURATION,
)
from workers.monitoring.meter import Meter


def test_a_counter_and_a_histogram(meter: Meter, folder: Path) -> None:
    meter.count(STAGE_BUSY, 1.5, "scoring")
    meter.count(STAGE_BUSY, 1.0, "scoring")
    for objects in (1, 3, 1000):
        meter.observe(BATCH_SIZE, objects, "scoring")
    found = samples(folder)
    assert found["wildtag_stage_busy_seconds_total scoring"] == 2.5
    assert [found[f"wildtag_batch_objects_bucket scoring {le}"] for le in ("1.0", "2.0", "4.0", "256.0", "+Inf")] == [
        1, 1, 2, 2, 3,
    ]  # fmt: skip
    assert found["wildtag_batch_objects_sum scoring"] == 1004
    assert found["wildtag_batch_objects_count scoring"] == 3
    assert not [name for name in found if "_created" in name]


def test_what_is_prepared_is_0_before_anything_is_counted(meter: Meter, folder: Path) -> None:
    meter.prepare(STAGE_BUSY, "scoring")
    assert samples(folder) == {"wildtag_stage_busy_seconds_total scoring": 0}


def test_every_metric_of_processes_can_be_counted(meter: Meter, folder: Path) -> None:
    for metric in CATALOGUE:
        if metric.source == "process" and metric.kind != "gauge":
            labels = ["x"] * len(metric.labels)
            (meter.count if metric.kind == "counter" else meter.observe)(metric, 1, *labels)
            assert any(name.startswith(metric.name) for name in samples(folder)), metric.name


def test_a_forked_process_does_not_write_into_the_file_of_its_parent(meter: Meter, folder: Path) -> None:
    meter.count(STAGE_BUSY, 1, "scoring")
    own = {file: file.read_bytes() for file in folder.glob("*.db")}
    assert own
    inherited = meter._series  # as if the parent had counted the same just before

    def count() -> None:
        assert meter._series is not inherited
        meter.count(STAGE_BUSY, 10, "scoring")

    forked(count)
    assert {file: file.read_bytes() for file in own} == own
    meter.count(STAGE_BUSY, 1, "scoring")
    assert samples(folder)["wildtag_stage_busy_seconds_total scoring"] == 12


def test_a_process_that_is_forked_while_a_thread_counts_can_count(meter: Meter, folder: Path) -> None:
    stop = threading.Event()

    def counting() -> None:
        number = 0
        while not stop.is_set():
            meter.count(HTTP_REQUESTS, 1, "GET", f"/{number % 50}", "200")
            number += 1

    thread = threading.Thread(target=counting)
    thread.start()
    try:
        for _ in range(20):
            forked(lambda: meter.count(STAGE_BUSY, 1, "scoring"))
    finally:
        stop.set()
        thread.join()
    assert samples(folder)["wildtag_stage_busy_seconds_total scoring"] == 20


def test_files_grow_for_as_many_series_as_there_are(meter: Meter, folder: Path) -> None:
    for number in range(200):
        meter.observe(HTTP_DURATION, 0.1, f"/v1/a/route/with/a/long/path/{number}")
    (file,) = folder.glob("histogram_*.db")
    assert file.stat().st_size > value_files.FIRST_BYTES
    assert file.stat().st_blocks * 512 >= file.stat().st_size  # no page without a place on the disk
    found = samples(folder)
    assert sum(value for name, value in found.items() if name.startswith(f"{HTTP_DURATION.name}_count")) == 200


def test_on_a_full_disk_the_work_goes_on_uncounted(
    meter: Meter, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter.count(STAGE_BUSY, 1, "scoring")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)  # as the kernel says it
    meter.observe(STORE_DURATION, 1.0, "get")
    meter.count(STAGE_BUSY, 1, "scoring")  # has its place
    monkeypatch.undo()
    assert samples(folder) == {"wildtag_stage_busy_seconds_total scoring": 2}
    assert not list(folder.glob(".*"))
    meter._paused_until = 0.0  # a minute later
    meter.observe(STORE_DURATION, 1.0, "get")
    assert samples(folder)["wildtag_store_duration_seconds_count get"] == 1


def test_who_measures_nothing_imports_no_library_and_writes_nothing(tmp_path: Path) -> None:
    code = """
import sys
import workers.wiring.stages, workers.monitoring.measured, workers.processes.measuring
from workers.monitoring.catalogue import STAGE_BUSY
from workers.monitoring.meter import METER
METER.count(STAGE_BUSY, 1, "scoring")
assert not METER.active
assert "prometheus_client" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3], timeout=60)
    assert not list(tmp_path.iterdir())


def test_a_file_that_was_closed_is_opened_again_and_ends_no_work(meter: Meter, folder: Path, tmp_path: Path) -> None:
    meter.count(STAGE_BUSY, 1.0, "scoring")
    meter.observe(BATCH_SIZE, 1, "scoring")
    other = Meter()  # the library's files are those of the process
    other.begin(tmp_path / "other")
    other.end()
    meter.begin(folder)
    meter.count(STAGE_BUSY, 1.0, "scoring")
    value_files.end()
    for _ in range(2):  # the first is not counted
        meter.count(STAGE_BUSY, 1.0, "scoring")
        meter.observe(BATCH_SIZE, 1, "scoring")
    found = samples(folder)
    assert found["wildtag_stage_busy_seconds_total scoring"] >= 3
    assert found["wildtag_batch_objects_count scoring"] >= 2
