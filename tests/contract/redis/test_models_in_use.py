"""Shows that all processes see how the models of each compute, as long as they are reported."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from structlog.testing import capture_logs

from tasks.model_description import Description
from workers.redis.connection import Client, StoreUnavailable
from workers.redis.keys import Keys
from workers.redis.models_in_use import FRESH_S, ModelBoard
from workers.stages.model_reports import RENEW_S, ModelReports

GPU = Description("cuda:1", "PyTorch", "bfloat16", 64, hardware="Made-up 1")


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Model:
    def __init__(self, description: Description = GPU) -> None:
        self.description = description


def test_what_processes_report_is_read_by_all_until_they_are_gone(client: Client, keys: Keys) -> None:
    clock = Clock()
    first, second = (ModelBoard(client, keys, name, clock) for name in ("here-1", "there-2"))
    first.write("embedding", "image encoder", GPU)
    clock.now += FRESH_S - 1
    second.write("embedding", "image encoder", replace(GPU, device="cuda:0"))
    second.write("segmentation", "CLIPSeg", replace(GPU, dtype="float16"))
    found = [(one.queue, one.model, one.process, one.device) for one in first.read()]
    assert found == [
        ("embedding", "image encoder", "here-1", "cuda:1"),
        ("embedding", "image encoder", "there-2", "cuda:0"),
        ("segmentation", "CLIPSeg", "there-2", "cuda:1"),
    ]
    assert str(first.read()[0]) == "cuda:1 (Made-up 1), PyTorch, bfloat16, batches of 64"
    clock.now += 2
    assert [one.process for one in first.read()] == ["there-2", "there-2"]
    client.hset(keys.models, "elsewhere-3 embedding image encoder", b"\x91\x01")  # of another version
    assert len(first.read()) == 2
    second.clear()
    assert first.read() == []


def test_a_worker_reports_what_it_loads_and_what_changes_and_logs_it_once(client: Client, keys: Keys) -> None:
    clock, loaded = Clock(), dict[str, object]()
    board = ModelBoard(client, keys, "here-1", clock)
    reports = ModelReports(board, lambda: loaded, clock)

    def load(name: str) -> str:
        loaded[name] = Model()
        return name

    with capture_logs() as logged:
        assert reports.after("embedding", load)("image encoder") == "image encoder"
        reports.report("embedding")
        loaded["image encoder"] = Model(replace(GPU, batch=32))
        loaded["another"] = object()  # does not say how it computes
        reports.report("embedding")
    assert [said(entry) for entry in logged] == [
        ("info", 64, "loaded"),
        ("warning", 32, "the memory of the device was full"),
    ]
    assert (logged[0]["device"], logged[0]["dtype"], logged[0]["hardware"]) == ("cuda:1", "bfloat16", "Made-up 1")
    assert [one.batch for one in board.read()] == [32]


def said(entry: MutableMapping[str, Any]) -> tuple[str, int, str]:
    return entry["log_level"], entry["batch"], entry["why"]


def test_a_report_is_renewed_in_time_and_costs_nothing_in_between(client: Client, keys: Keys) -> None:
    clock = Clock()
    written: list[float] = []

    class Counted(ModelBoard):
        def write(self, queue: str, model: str, description: Description) -> None:
            written.append(clock.now)
            super().write(queue, model, description)

    reports = ModelReports(Counted(client, keys, "here-1", clock), lambda: {"image encoder": Model()}, clock)
    for _ in range(int(2 * FRESH_S / 10)):
        reports.report("embedding")
        clock.now += 10
    assert len(written) == 2 * FRESH_S / RENEW_S
    assert max(after - before for before, after in pairwise(written)) < FRESH_S / 5


def test_an_outage_of_redis_does_not_disturb_the_work(client: Client, keys: Keys) -> None:
    class Away(ModelBoard):
        def write(self, *_: object) -> None:
            raise StoreUnavailable("Redis does not answer")

    clock = Clock()
    reports = ModelReports(Away(client, keys, "here-1", clock), lambda: {"image encoder": Model()}, clock)
    assert reports.after("embedding", lambda: "done")() == "done"
