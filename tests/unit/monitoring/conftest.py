"""A meter that counts in a folder of its test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.monitoring.meter import Meter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run" / "metrics"


@pytest.fixture
def meter(folder: Path) -> Iterator[Meter]:
    meter = Meter()
    meter.begin(folder)
    yield meter
    meter.end()
