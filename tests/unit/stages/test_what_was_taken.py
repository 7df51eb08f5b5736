"""A stage says with the next message when the one before was put on its queue, and never too late a time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tasks.message_parts import ObjectRef, Revision
from tasks.messages import Submitted
from workers.lifecycle.outcomes import Acceptance
from workers.stages.runner import StageRunner
from workers.stages.table import Stage

BATCH = Submitted(
    objects=(ObjectRef("b", "a.png", ""), ObjectRef("b", "b.png", "")), revision=Revision("s", "c@1")
)  # fmt: skip


def test_objects_that_came_to_the_queue_later_have_another_message() -> None:
    taken: list[float | None] = []
    since: list[float | None] = [500.0, 100.0]  # one of them was sent again

    def accept(_: str, batch: Submitted, **__: object) -> dict[str, Acceptance]:
        pairs = zip(batch.objects, since, strict=True)
        return {ref.id: Acceptance(1.0, since=at) for ref, at in pairs}

    def command(_: str, at: float | None) -> tuple[str]:
        taken.append(at)
        return ("",)

    made: Any = SimpleNamespace(
        handover=SimpleNamespace(accept=accept), publisher=SimpleNamespace(), tracker=SimpleNamespace(),
        health=SimpleNamespace(beat=lambda _: None, command=command),
    )  # fmt: skip
    runner = StageRunner(
        {"retrieval": Stage(Submitted.decode, lambda: lambda *_: None)}, made.handover, made.publisher, made.health,
        made.tracker, 0.0,
    )  # fmt: skip
    for _ in range(2):
        runner.run("retrieval", BATCH.encode(), 0)
    since = [None, None]  # it is not on the queue of the stage
    for _ in range(2):
        runner.run("retrieval", BATCH.encode(), 0)
    assert taken == [None, 100.0, 100.0, 100.0]
