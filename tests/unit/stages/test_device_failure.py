"""Shows that a worker whose device fails puts its images back and ends, so that a new process takes its place."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tasks.encoders.devices import DeviceFailed, DeviceOutOfMemory
from tasks.message_parts import ObjectRef, Revision
from tasks.messages import Submitted
from workers.stages.runner import StageRunner
from workers.stages.table import Stage

BATCH = Submitted(objects=(ObjectRef("b", "a.png", ""), ObjectRef("b", "b.png", "")), revision=Revision("s", "c@1"))


@pytest.mark.parametrize(("error", "ends"), [(DeviceFailed("CUDA error"), True), (DeviceOutOfMemory("full"), False)])
def test_images_are_sent_again_before_the_process_ends(error: Exception, *, ends: bool) -> None:
    done: list[str] = []

    def work(*_: object) -> None:
        raise error

    made: Any = SimpleNamespace(
        handover=SimpleNamespace(
            accept=lambda *_, **__: {}, retry=lambda stage, batch, *_: done.append(f"{stage}: {len(batch.objects)}"),
        ),
        publisher=SimpleNamespace(),
        health=SimpleNamespace(beat=lambda _: None, command=lambda *_: ()),
        tracker=SimpleNamespace(register=lambda _: None),
    )  # fmt: skip
    runner = StageRunner(
        {"embedding": Stage(Submitted.decode, lambda: work)}, made.handover, made.publisher, made.health,
        made.tracker, 300.0, lambda: done.append("end"),
    )  # fmt: skip
    runner.run("embedding", BATCH.encode(), 0)
    assert done == (["embedding: 2", "end"] if ends else ["embedding: 2"])
