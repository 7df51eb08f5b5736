"""Where a process counts, and who reads it: the gateway of its stack, or whoever asks at its port."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.monitoring.test_exporter import got
from vectordb.errors import Permanent
from workers.monitoring.catalogue import STAGE_BUSY
from workers.monitoring.meter import Meter
from workers.processes import measuring
from workers.settings.settings import Settings
from workers.supervision.os_processes import MARK
from workers.supervision.temporary import prefix


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Meter]:
    """That of the process, which is none of a stack."""
    meter = Meter()
    monkeypatch.setattr(measuring, "METER", meter)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv(MARK, raising=False)
    yield meter
    meter.end()


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_a_process_that_nobody_reads_counts_nothing(meter: Meter, tmp_path: Path) -> None:
    measuring.measure_process(Settings(home=tmp_path))
    assert not meter.active


def test_a_process_of_a_stack_counts_in_its_home_and_serves_nothing(
    meter: Meter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    monkeypatch.setenv(MARK, "run")
    for begin in measuring.measure_process, measuring.measure_gateway:
        begin(Settings(home=tmp_path, metrics_port=port))
        assert meter.folder == tmp_path / "run" / "metrics"
    with pytest.raises(ConnectionRefusedError):
        got(port)


def test_another_process_serves_what_it_counts(meter: Meter, tmp_path: Path, port: int) -> None:
    settings = Settings(home=tmp_path, metrics_port=port)
    measuring.measure_process(settings)
    meter.count(STAGE_BUSY, 1, "scoring")
    assert 'wildtag_stage_busy_seconds_total{stage="scoring"} 1.0' in got(port)[1]
    assert meter.folder is not None
    assert meter.folder.name.startswith(prefix("metrics"))
    measuring.measure_process(settings)  # as a process does that changes its encoder in place
    meter.end()  # that of another process counts nothing yet
    with pytest.raises(Permanent, match="in use"):
        measuring.measure_process(settings)


def test_without_room_for_files_a_process_works_and_says_what_it_is(
    meter: Meter, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    measuring.measure_gateway(Settings(home=tmp_path))
    measuring.measure_process(Settings(home=tmp_path, metrics_port=port))
    assert not meter.active
    assert "wildtag_build_info" in got(port)[1]
