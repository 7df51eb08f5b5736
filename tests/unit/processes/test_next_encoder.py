"""The processes that prepare another encoder, while there is none to prepare."""

from __future__ import annotations

import pytest

from workers.processes import next_encoder
from workers.settings.settings import Settings


def test_metrics_are_served_before_there_is_an_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in ("configure", "require_possible", "measure_process"):
        monkeypatch.setattr(next_encoder, name, lambda *_, name=name: done.append(name))
    monkeypatch.setattr("os.nice", lambda _: 0)
    monkeypatch.setattr(next_encoder, "_awaited", lambda *_: done.append("awaited"))
    next_encoder.run_next(Settings(), "feeder")
    assert done == ["configure", "require_possible", "measure_process", "awaited"]
