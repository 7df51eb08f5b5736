"""What follows when a process of a worker dies over its work, without processes that die."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tasks.message_parts import Hit, ObjectRef, Revision
from tasks.messages import Submitted
from vectordb.errors import Transient
from workers.outages.tracker import OutageTracker
from workers.stages.crash_guard import FIRST_S, IN_A_ROW, LONGEST_S, CrashGuard
from workers.stages.crash_journal import CrashJournal, note_ending
from workers.stages.self_test import ModelBroken

REVISION = Revision("space", "captions@1")
HIT = Hit(1, "a cat", 0.5)


def batch(*keys: str) -> Submitted:
    return Submitted(objects=tuple(ObjectRef("b", key, "e") for key in keys), revision=REVISION)


class Died(BaseException):
    """The process ends: nothing after it is executed."""


class Handover:
    def __init__(self) -> None:
        self.blamed: list[tuple[list[str], str, bool]] = []
        self.pardoned: list[str] = []

    def blame(self, objects: Sequence[ObjectRef], _: Revision, how: str, *, blamed: bool) -> None:
        self.blamed.append(([one.key for one in objects], how, blamed))

    def pardon(self, objects: Sequence[ObjectRef], *_: object) -> None:
        self.pardoned += [one.key for one in objects]


class Worker:
    """Processes one after the other at one place of a pool."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, 1000.0
        self.handover, self.answers = Handover(), dict[str, str]()
        self.model: Callable[[], object] = lambda: None
        self.tracker = OutageTracker()
        self.tested = 0
        self.held: list[object] = []
        self.begin()

    def begin(self) -> None:
        handover: Any = self.handover
        self.journal = CrashJournal(self.folder, 0, lambda: self.now)
        self.guard = CrashGuard(
            self.journal, {"embedding": self.test}, handover, self.tracker, self.answers.__setitem__,
            {"embedding": 300.0}, lambda: self.now,
        )  # fmt: skip
        self.guard.recover()

    def test(self) -> None:
        self.tested += 1
        self.model()

    def die(self, how: str = "was ended by SIGSEGV") -> None:
        """This process ends as it is, and the next one begins."""
        note_ending(self.folder, 0, how)
        self.begin()

    def die_over(self, *batches: Submitted, request: str = "") -> None:
        for one in batches:
            self.guard.require("embedding")
            self.hold("embedding", one)
        if request:
            self.hold("rpc", request=request)
        self.die()

    def hold(self, stage: str, one: Submitted | None = None, request: str = "") -> None:
        """Begin something that never ends in this process."""
        held = self.guard.holding(stage, one, request)
        held.__enter__()
        self.held.append(held)  # or it would end when it is collected


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)


def test_one_object_is_blamed_and_several_are_tried_alone(worker: Worker) -> None:
    worker.die_over(batch("a"))
    worker.die_over(batch("b", "c"))
    worker.die_over(batch("d"), batch("e"))
    how = "was ended by SIGSEGV in embedding"
    assert worker.handover.blamed == [
        (["a"], how, True), (["b", "c"], how, False), (["d"], how, False), (["e"], how, False),
    ]  # fmt: skip
    assert worker.tested == 2, "the model was tried before the next message"


def test_what_a_time_limit_ends_is_still_known(worker: Worker) -> None:
    """Celery's raises ``SystemExit`` in the process."""
    with (
        pytest.raises(SystemExit),
        worker.guard.holding("embedding", batch("a")),
        worker.journal.trying(REVISION, HIT),
    ):
        raise SystemExit
    assert worker.journal.state.caption is not None
    worker.die("exceeded its limit")
    assert [keys for keys, *_ in worker.handover.blamed] == [["a"]]
    with pytest.raises(SystemExit), worker.guard.testing("embedding"):
        raise SystemExit
    worker.die("exceeded its limit")
    assert "embedding" in worker.journal.state.paused


def test_what_has_ended_is_not_blamed_and_nobody_is_twice(worker: Worker) -> None:
    with worker.guard.holding("embedding", batch("a")):
        pass
    worker.die()
    worker.die_over(batch("b"))
    worker.die()
    assert [keys for keys, *_ in worker.handover.blamed] == [["b"]]


def test_a_message_that_takes_too_long(worker: Worker) -> None:
    worker.hold("embedding", batch("a"))
    assert worker.guard.overdue() == ""
    worker.now += 301
    assert worker.guard.overdue() == "was ended since embedding took longer than 300 s"
    worker.die("was ended by SIGKILL")  # as Celery does
    assert worker.handover.blamed[0][1] == "was ended since it took longer than 300 s in embedding"


def test_a_request_is_answered_and_stops_no_stage(worker: Worker) -> None:
    worker.die_over(request="4711")
    assert "was ended by SIGSEGV" in worker.answers["4711"]
    worker.guard.require("embedding")
    assert worker.tested == 0


def test_a_model_that_crashes_for_every_object_pauses_and_blames_none(worker: Worker) -> None:
    def crash() -> None:
        raise Died

    worker.die_over(batch("a"))
    worker.model = crash
    pauses = []
    for _ in range(9):
        # a real process would not even leave the block in which it dies
        worker.guard.testing = lambda _: _Dying(worker)  # type: ignore[method-assign, assignment, return-value]
        with pytest.raises(Died):
            worker.guard.require("embedding")
        worker.die()
        with pytest.raises(ModelBroken):
            worker.guard.require("embedding")
        pauses.append(worker.journal.state.paused["embedding"].until - worker.now)
        worker.now += pauses[-1] + 1
    assert pauses[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert pauses[-1] == LONGEST_S
    assert worker.handover.pardoned == ["a"]
    (outage,) = worker.tracker.active()
    assert (outage.name, outage.since) == ("model", 1000.0)
    assert "SIGSEGV" in outage.reason

    worker.model = lambda: None
    worker.begin()
    worker.guard.require("embedding")
    assert worker.tracker.active() == []
    assert "embedding" not in worker.journal.state.paused


class _Dying:
    """``CrashGuard.testing``, of which nothing is undone."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def __enter__(self) -> None:
        self._worker.journal.update(lambda state: setattr(state, "testing", "embedding"))

    def __exit__(self, *_: object) -> None:
        """A process that dies does nothing more."""


def test_objects_that_all_crash_are_tried_ever_more_slowly(worker: Worker) -> None:
    for n in range(IN_A_ROW):
        worker.die_over(batch(f"{n}"))
    with pytest.raises(ModelBroken, match="the last 5 attempts"):
        worker.guard.require("embedding")
    worker.now += FIRST_S + 1
    worker.guard.require("embedding")  # the next object is the trial
    with pytest.raises(ModelBroken):
        worker.guard.require("embedding")
    worker.guard.finished("embedding")  # and ended well
    worker.guard.require("embedding")
    assert worker.tracker.active() == []
    assert worker.handover.pardoned == []


def test_an_error_of_the_model_is_not_that_of_the_object(worker: Worker) -> None:
    bug = ValueError("shapes")
    assert worker.guard.judged("embedding", bug) is bug

    def broken() -> None:
        raise ValueError("shapes")

    worker.model = broken
    assert isinstance(worker.guard.judged("embedding", bug), ModelBroken)
    away = Transient("away")
    assert worker.guard.judged("embedding", away) is away
    with pytest.raises(ModelBroken):
        worker.guard.require("embedding")


def test_without_a_folder_nothing_is_remembered_and_nothing_breaks(tmp_path: Path) -> None:
    journal = CrashJournal(tmp_path / "gone", 0)
    with journal.holding("embedding", b""):
        assert journal.ended() == ""


def test_a_trial_that_fails_and_does_not_crash_ends_the_pause(worker: Worker) -> None:
    for number in range(IN_A_ROW):
        worker.die_over(batch(f"{number}"))
    with pytest.raises(ModelBroken):
        worker.guard.require("embedding")
    worker.now += FIRST_S
    for error in (Transient("no answer"), ValueError("not an image")):
        worker.now += LONGEST_S
        worker.guard.require("embedding")  # the trial
        with pytest.raises(type(error)), worker.guard.holding("embedding", batch("next")):
            raise error
        if isinstance(error, Transient):  # which says nothing of the model
            with pytest.raises(ModelBroken):
                worker.guard.require("embedding")
    worker.guard.require("embedding")


def test_nobody_is_blamed_for_a_process_that_ends_on_purpose(worker: Worker) -> None:
    """As when its device fails: the message beside it is tried again, and no attempt counts."""
    worker.hold("embedding", batch("beside"))
    worker.guard.leaving()
    worker.die("ended with the status 1")
    worker.die_over(batch("a"))
    how = "ended with the status 1 in embedding"
    assert worker.handover.blamed[0] == (["beside"], how, False)
    assert worker.handover.blamed[1][2] is True
