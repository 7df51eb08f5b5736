"""Lines of ``wildtag status``: where messages wait, which stage has no worker, progress, models and words."""

from __future__ import annotations

import pytest

from workers.broker.depths import Depths, QueueDepth
from workers.cli.status import model_rows, progress_line, queue_line
from workers.redis.models_in_use import ModelInUse
from workers.redis.words_progress import WordsProgress
from workers.settings.settings import QUEUES


def depths(ready: dict[str, int], consumers: int | None, unacknowledged: int | None, idle: str = "") -> Depths:
    found = {name: QueueDepth(ready.get(name, 0), 0 if name == idle else consumers) for name in QUEUES}
    return Depths(found, unacknowledged)


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (None, "unknown"),
        (depths({}, 1, None), "empty"),
        (depths({}, None, 0), "empty"),
        (depths({"embedding": 1200, "scoring": 2}, None, 3), "embedding 1,200, scoring 2, with workers 3"),
        (depths({"embedding": 5}, 1, None, idle="embedding"), "embedding 5; no worker: embedding"),
        (depths({}, 1, None, idle="ingestion"), "empty"),  # started only for an import
    ],
)
def test_it_says_what_waits(found: Depths | None, line: str) -> None:
    assert queue_line(found) == line


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
