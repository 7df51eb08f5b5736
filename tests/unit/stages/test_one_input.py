"""A runtime that fails for one image: the model is tried on something harmless, which tells whose fault it is."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime.capi.onnxruntime_pybind11_state as onnx  # type: ignore[import-untyped] # has no types
import pytest

from tasks.extraction import extractor
from tasks.message_parts import ObjectRef, Revision
from tasks.messages import Submitted
from workers.lifecycle.ledger import Overdue
from workers.lifecycle.policy import Dead, after_deadline
from workers.outages.tracker import OutageTracker
from workers.stages import self_test
from workers.stages.crash_guard import CrashGuard
from workers.stages.crash_journal import CrashJournal
from workers.stages.runner import StageRunner
from workers.stages.table import Stage

A, B = ObjectRef("b", "a.png", ""), ObjectRef("b", "b.png", "")
KINDS = (onnx.EPFail, onnx.NotImplemented)


def outcome(tmp_path: Path, error: Exception, *objects: ObjectRef, broken: bool) -> list[str]:
    """What follows if the model of embedding raises this for these objects, and for all if it is ``broken``."""
    done: list[str] = []

    def work(*_: object) -> None:
        raise error

    def test() -> None:
        if broken:
            raise error

    made: Any = SimpleNamespace(
        handover=SimpleNamespace(
            accept=lambda *_, **__: {}, split=lambda batch: done.append(f"split {len(batch.objects)}"),
            blame=lambda refs, _, how, blamed: done.append(f"blame {refs[0].key} {how} {blamed}"),
            hold_back=lambda *_, **__: done.append("held back"),
        ),
        publisher=SimpleNamespace(send=lambda *_, **__: done.append("sent")),
        health=SimpleNamespace(beat=lambda _: None, command=lambda *_: ()),
    )  # fmt: skip
    tracker = OutageTracker()
    guard = CrashGuard(
        CrashJournal(tmp_path, 0), {"embedding": test}, made.handover, tracker, lambda *_: None, {"embedding": 300.0}
    )
    runner = StageRunner(
        {"embedding": Stage(Submitted.decode, lambda: work)}, made.handover, made.publisher, made.health, tracker,
        0.0, guard=guard,
    )  # fmt: skip
    batch = Submitted(objects=objects, revision=Revision("s", "c@1"))
    runner.run("embedding", batch.encode(), 0)
    done += [f"{one.name} away" for one in tracker.active()]
    tracker.end("model")
    return done


@pytest.mark.parametrize("kind", KINDS)
def test_the_object_gets_the_attempt_if_its_model_works(tmp_path: Path, kind: type[Exception]) -> None:
    assert outcome(tmp_path, kind("it failed"), A, B, broken=False) == ["split 2"]
    (done,) = outcome(tmp_path, kind("it failed"), A, broken=False)
    assert done == f"blame a.png met {kind.__name__}: it failed in embedding, although its models work True"


@pytest.mark.parametrize("kind", KINDS)
def test_all_wait_if_it_does_not(tmp_path: Path, kind: type[Exception]) -> None:
    assert outcome(tmp_path, kind("it failed"), A, B, broken=True) == ["held back", "sent", "model away"]


def test_it_is_dead_at_last_and_says_why() -> None:
    how = "met EPFail: it failed in embedding, although its models work"
    overdue = Overdue(A, "s/c@1", "embedding", 4, 0.0, None, crash=how)
    action = after_deadline(overdue, 1.0, consuming=True, max_attempts=4, give_up_s=60.0)
    assert isinstance(action, Dead)
    assert action.reason == f"4 attempts, none finished, the last in embedding: the worker {how}"


def test_extraction_is_tried_on_a_caption() -> None:
    self_test.of_extraction(lambda: extractor("phrases"))()

    def broken() -> Any:
        raise RuntimeError("no parser")

    with pytest.raises(RuntimeError):
        self_test.of_extraction(broken)()
