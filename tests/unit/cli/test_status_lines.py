"""What ``wildtag status`` shows: the stages, rates, failures, models, words, and what is wrong."""

from __future__ import annotations

from io import StringIO

import msgspec
import pytest
from rich.console import Console

from workers.broker.depths import Depths, QueueDepth
from workers.cli.status.lines import (
    disk_line,
    failures_line,
    memory_line,
    model_rows,
    progress_line,
    rate_line,
    seconds,
    view_of,
    warnings,
)
from workers.cli.status.overview import Disk, Overview, stages_of, totals_of
from workers.images.coverage import Coverage
from workers.lifecycle.ledger_counts import LedgerState, QueueState
from workers.lifecycle.recent_results import Failures, Latency, Rate
from workers.outages.board import Outage
from workers.redis.heartbeats import ProcessNote
from workers.redis.models_in_use import ModelInUse
from workers.redis.servers import RedisServer
from workers.redis.words_progress import WordsProgress
from workers.settings.settings import QUEUES, STAGES

NOW = 1000.0


def depths(ready: dict[str, int], consumers: int | None = None) -> Depths:
    return Depths({name: QueueDepth(ready.get(name, 0), consumers) for name in QUEUES}, 0)


def ledger(**queues: tuple[int, float]) -> LedgerState:
    found = {name: QueueState(*queues.get(name, (0, None))) for name in (*STAGES, "segmentation", "waiting")}
    return LedgerState(sum(one.objects for one in found.values()), None, found)


def notes(*names: str) -> list[ProcessNote]:
    return [ProcessNote(name=name, host="here", offset=0.0, at=NOW) for name in names]


def overview(**known: object) -> Overview:
    stages = stages_of(NOW, depths({}), ledger(), dict.fromkeys(STAGES, 1.0), notes(*STAGES), [])
    plain = Overview(
        at=NOW, home="/home", outages=[], counts={"inbox": 0, "in_flight": 0, "done": 3, "failed": 0, "dead": 0},
        stages=stages, depths=depths({}), processes=notes(*STAGES, "dispatcher"), rate=Rate(30, 60.0),
        failures=Failures(3600.0, 3, {}),
    )  # fmt: skip
    return msgspec.structs.replace(plain, **known)


def shown(found: Overview) -> str:
    out = StringIO()
    Console(file=out, width=160).print(view_of(found))
    return out.getvalue()


def test_each_stage_has_its_load_its_progress_and_its_workers() -> None:
    found = stages_of(
        NOW, depths({"embedding": 7}), ledger(scoring=(3, 990.0), waiting=(1, 400.0)), {"scoring": 12.0},
        notes("embedding", "scoring", "scoring"), [],
    )  # fmt: skip
    rows = {one.name: (one.messages, one.objects, one.oldest_s, one.progress_s, one.processes) for one in found}
    assert rows == {
        "embedding": (7, 0, None, None, 1), "retrieval": (0, 0, None, None, 0), "extraction": (0, 0, None, None, 0),
        "scoring": (0, 3, 10.0, 12.0, 2), "waiting": (None, 1, 600.0, None, 0),
    }  # fmt: skip


def test_a_stage_without_a_worker_and_a_broker_that_is_away_are_shown() -> None:
    said = shown(overview(stages=stages_of(NOW, None, ledger(), {}, notes("embedding"), []), depths=None))
    row = next(line.split() for line in said.splitlines() if line.startswith("retrieval"))
    assert row == ["retrieval", "?", "0", "none"]


def test_workers_are_those_that_the_broker_counts_if_it_does() -> None:
    said = shown(overview(stages=stages_of(NOW, depths({}, consumers=0), ledger(), {}, notes(*STAGES), [])))
    assert next(line.split() for line in said.splitlines() if line.startswith("scoring"))[-1] == "none"


def test_rates_and_failures_say_what_they_cover() -> None:
    assert rate_line(Rate(30, 60.0), None) == "0.5 objects/s in the last 60 s"
    assert rate_line(Rate(0, 0.0), Latency(0.25, 4.0, 9)) == (
        "0.0 objects/s in the last 0 s; from acceptance to record p50 0.25 s, p95 4.0 s"
    )
    failures = Failures(3600.0, 200, {"not-an-image": 2, "too-large": 1})
    assert failures_line(failures, totals_of({("failed", "too-large"): 1500, ("dead", ""): 1, ("done", ""): 9})) == (
        "3 of 200 in the last 60 min (not-an-image 2, too-large 1); so far 1,501 (too-large 1,500, unknown 1)"
    )


@pytest.mark.parametrize(
    ("value", "text"), [(0.04, "0.04 s"), (4.24, "4.2 s"), (42.0, "42 s"), (600.0, "10 min"), (90_000.0, "25.0 h")]
)
def test_durations_are_short(value: float, text: str) -> None:
    assert seconds(value) == text


def test_memory_and_disks() -> None:
    assert memory_line([RedisServer("a", 2_000_000, 0, 0)]) == "2.0 MB, without a limit"
    assert memory_line([RedisServer("a", 1000, 4000, 2)]) == "1.0 kB of 4.0 kB, 2 keys evicted"
    assert disk_line([Disk("home", "/home", 1000, 4000)]) == "home 1.0 kB of 4.0 kB free"


def test_what_is_wrong_is_said_below() -> None:
    outage = Outage(name="store", reason="[b]no route", since=NOW - 5, waiting=7)
    said = list(warnings(overview(outages=[outage], counts={"dead": 1})))
    assert said[0] == "[red]store is unavailable for 5 s[/]; 7 objects are waiting: \\[b]no route"
    assert said[1].startswith("[red]1 object given up")


def test_an_image_that_has_no_record_yet_does_not_count_as_tagged() -> None:
    assert Coverage(44, 45).count == "44 of 44, and 1 without a record: in progress, or just removed"
    assert Coverage(44, 43).count == "43 of 44"
    assert Coverage(44, None).count == "? of 44"


def test_progress_is_told_in_whole_seconds() -> None:
    assert progress_line({"dispatcher": 1.4, "watcher": 0.04}) == "dispatcher 1 s ago, watcher 0 s ago"


def test_a_model_of_a_worker_of_several_stages_is_listed_once() -> None:
    def model(queue: str, process: str) -> ModelInUse:
        return ModelInUse(
            queue=queue, model="text encoder", process=process, device="cpu", runtime="ONNX Runtime", dtype="float32",
            batch=16,
        )  # fmt: skip

    described = "cpu, ONNX Runtime, float32, batches of 16"
    assert model_rows([model("embedding", "a-1"), model("scoring", "a-1"), model("scoring", "b-2")]) == [
        ("embedding, scoring: text encoder", described),
        ("scoring: text encoder", described),
    ]


def test_words_ahead_say_what_is_counted() -> None:
    assert str(WordsProgress("starter@1", 2048, 2001, finished=False)) == (
        "2,001 words are encoded, those of the first 2,048 captions of starter@1;"
        " goes on while no image is in progress"
    )
