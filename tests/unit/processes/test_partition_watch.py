"""A watch of a partition that fails ends its process, which is then started again."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from workers.processes import partition_watch
from workers.processes.partition_watch import watching
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring

WAIT_S = 10.0


def test_a_watch_that_fails_stops_the_process_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def step(self) -> None:
            raise KeyError("body")  # such as an entry of another version

    monkeypatch.setattr(partition_watch, "_watches", lambda *_: [Broken()])
    wiring = Wiring(Settings(home=tmp_path, redis_url="redis://127.0.0.1:1/0"))
    stop = threading.Event()
    with pytest.raises(KeyError), watching(wiring, stop):
        assert stop.wait(WAIT_S)


def test_a_stop_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Watch:
        def step(self) -> None:
            stop.wait(0.01)

    monkeypatch.setattr(partition_watch, "_watches", lambda *_: [Watch()])
    stop = threading.Event()
    with watching(Wiring(Settings(home=tmp_path, redis_url="redis://127.0.0.1:1/0")), stop):
        stop.set()
