"""A message that is put back before its stage has begun with it takes no earlier attempt back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tasks.message_parts import ObjectRef, Revision
from tasks.messages import Submitted
from workers.stages.guard import Unguarded
from workers.stages.runner import StageRunner
from workers.stages.self_test import ModelBroken
from workers.stages.table import Stage

BATCH = Submitted(objects=(ObjectRef("b", "a.png", ""),), revision=Revision("s", "c@1"))


class Broken(Unguarded):
    def require(self, stage: str) -> None:
        raise ModelBroken(f"{stage} pauses")


def fail(*_: object) -> None:
    raise ModelBroken("it does not work")


@pytest.mark.parametrize(
    ("guard", "stage", "begun"),
    [(Broken(), "embedding", False), (Unguarded(), "embedding", True), (Broken(), "retrieval", True)],
)
def test_an_attempt_is_taken_back_that_was_counted(guard: Unguarded, stage: str, *, begun: bool) -> None:
    held: list[bool] = []
    made: Any = SimpleNamespace(
        handover=SimpleNamespace(
            accept=lambda *_, **__: {}, hold_back=lambda *_, begun: held.append(begun),
        ),
        publisher=SimpleNamespace(send=lambda *_, **__: None),
        health=SimpleNamespace(beat=lambda _: None, command=lambda *_: ()),
        tracker=SimpleNamespace(register=lambda _: "model"),
    )  # fmt: skip
    runner = StageRunner(
        {stage: Stage(Submitted.decode, lambda: fail)}, made.handover, made.publisher, made.health, made.tracker, 0.0,
        guard=guard,
    )  # fmt: skip
    runner.run(stage, BATCH.encode(), 0)
    assert held == [begun]
