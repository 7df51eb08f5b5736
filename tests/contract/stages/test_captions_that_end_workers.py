"""A caption over which extraction ends its process, or raises an error, is found and skipped; the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tasks.cache import Cache, LRUCache
from tasks.message_parts import Candidate, Hit, ObjectRef, Revision
from tasks.messages import Submitted
from workers.captions.skipped import MOST, NEEDED, WITHIN_S, SkippedCaptions
from workers.outages.tracker import OutageTracker
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.stages.caption_trials import CaptionTrials
from workers.stages.crash_guard import CrashGuard
from workers.stages.crash_journal import CAPTION_S, CrashJournal, note_ending
from workers.stages.self_test import ModelBroken

REVISION = Revision("space", "captions@1")
OTHER = Revision("space", "captions@2")
BATCH = Submitted(objects=(ObjectRef("b", "a", "e"),), revision=REVISION)
HITS = [Hit(1, "a cat", 0.9), Hit(2, "a poisonous frog", 0.8), Hit(3, "a dog", 0.7)]


class Died(BaseException):
    """The process ends, and leaves its journal as it is."""


class Worker:
    """Processes one after the other, which extract the captions of one object."""

    def __init__(self, folder: Path, client: Client, keys: Keys) -> None:
        self.folder, self.now = folder, 1000.0
        self.skipped = SkippedCaptions(client, keys)
        self.poison: Callable[[Hit], bool] = lambda hit: "poison" in hit.caption
        self.harm: Callable[[], BaseException] = Died
        self.broken = False
        self.blamed: list[bool] = []
        self.left = b""
        self.begin()

    @property
    def file(self) -> Path:
        return self.folder / "process-0"

    def begin(self) -> None:
        handover: Any = self
        self.journal = CrashJournal(self.folder, 0, lambda: self.now)
        self.trials = CaptionTrials(self.skipped, self.journal, self.test, lambda: self.now)
        self.guard = CrashGuard(
            self.journal, {"extraction": self.test}, handover, OutageTracker(), lambda *_: None,
            {"extraction": 300.0}, lambda: self.now, captions=self.trials,
        )  # fmt: skip
        self.guard.recover()

    def blame(self, *_: object, blamed: bool) -> None:
        self.blamed.append(blamed)

    def pardon(self, *_: object) -> None:
        """Nothing was blamed."""

    def test(self) -> None:
        if self.broken:
            raise ValueError("no parser")

    def warm(self) -> None:
        """Nothing to load."""

    def candidates(self, retrieved: Sequence[Sequence[Hit]], _: Cache) -> list[tuple[Candidate, ...]]:
        """As an extractor."""
        if any(self.poison(hit) for hits in retrieved for hit in hits):
            self.left = self.file.read_bytes()
            raise self.harm()
        return [tuple(Candidate(hit.caption, (at,)) for at, hit in enumerate(hits)) for hits in retrieved]

    def run(self, hits: Sequence[Hit] = HITS, revision: Revision = REVISION) -> list[Candidate]:
        """Work on the object until a process lives on."""
        for _ in range(10 * MOST):
            try:
                self.guard.require("extraction")
                with self.guard.holding("extraction", BATCH, alone=bool(self.blamed)):
                    (found,) = self.trials.extractor(self, revision).candidates([hits], LRUCache(1))
            except Died:
                self.file.write_bytes(self.left)
                note_ending(self.folder, 0, "was ended by SIGSEGV")
                self.begin()
            else:
                return list(found)
        raise AssertionError("it goes on for ever")


@pytest.fixture
def worker(tmp_path: Path, client: Client, keys: Keys) -> Worker:
    return Worker(tmp_path, client, keys)


def test_it_is_found_and_no_object_pays_for_it(worker: Worker) -> None:
    assert worker.run() == [Candidate("a cat", (0,)), Candidate("a dog", (2,))]
    (skipped,) = worker.skipped.all()
    assert (skipped.caption, skipped.captions_version, skipped.times) == ("a poisonous frog", "captions@1", NEEDED)
    assert "was ended by SIGSEGV" in skipped.reason
    assert worker.blamed == [True, *[False] * NEEDED], "only the first time, when nothing was known of captions"
    worker.blamed.clear()
    assert worker.run() == [Candidate("a cat", (0,)), Candidate("a dog", (2,))]
    assert worker.blamed == []


def test_another_process_skips_it_and_another_version_does_not(worker: Worker) -> None:
    worker.run()
    trials = CaptionTrials(worker.skipped, None, worker.test)
    assert len(trials.extractor(worker, REVISION).candidates([HITS], LRUCache(1))[0]) == 2
    with pytest.raises(Died):
        trials.extractor(worker, OTHER).candidates([HITS], LRUCache(1))
    renewed = [Hit(2, "a green frog", 0.8)]
    assert trials.extractor(worker, REVISION).candidates([renewed], LRUCache(1)) == [
        (Candidate("a green frog", (0,)),)
    ]


def test_an_error_is_found_at_once(worker: Worker) -> None:
    worker.harm = lambda: ValueError("odd text")
    assert [one.label for one in worker.run()] == ["a cat", "a dog"]
    assert [one.reason for one in worker.skipped.all()] == ["extraction raised ValueError: odd text"]
    assert worker.blamed == []


def test_a_broken_parser_skips_no_caption(worker: Worker) -> None:
    worker.poison, worker.harm, worker.broken = lambda _: True, lambda: ValueError("no parser"), True
    with pytest.raises(ValueError, match="no parser"):
        worker.run()
    worker.harm = Died
    with pytest.raises(ModelBroken):
        worker.run()
    assert worker.skipped.all() == []


def test_what_was_suspected_while_the_parser_broke_is_taken_back(worker: Worker) -> None:
    worker.blamed = [True]  # so that captions are tried alone

    def break_down() -> BaseException:
        worker.broken = True
        return Died()

    worker.harm = break_down
    with pytest.raises(ModelBroken):
        worker.run()
    worker.broken, worker.now, worker.harm = False, worker.now + 1000, Died
    worker.poison = lambda _: False
    worker.run()
    hits = Hit(2, "a poisonous frog", 0.0)
    noted = worker.skipped.note(REVISION, hits, "once", 0.0)
    assert noted is not None
    assert noted.times == 1


def test_more_than_there_can_be_are_not_believed(worker: Worker) -> None:
    for number in range(MOST):
        worker.skipped.note(REVISION, Hit(100 + number, "odd", 0.0), "", 0.0)
    worker.blamed = [True]
    worker.poison = lambda hit: "poison" in hit.caption and len(worker.blamed) < 5
    worker.run()
    assert worker.blamed == [True] * 5, "the object pays for it, and is dead in the end"


def test_two_ends_far_apart_are_a_coincidence(worker: Worker) -> None:
    hit, day = HITS[1], WITHIN_S + 1
    for at in (0.0, day, 2 * day):
        noted = worker.skipped.note(REVISION, hit, "", at)
        assert noted is not None
        assert not noted.skipped
    for number in range(MOST - 1):
        worker.skipped.note(REVISION, Hit(100 + number, "odd", 0.0), "", 2 * day)
    assert worker.skipped.note(REVISION, HITS[0], "", 2 * day) is None
    assert worker.skipped.note(REVISION, HITS[0], "", 4 * day) is not None, "those of then count no longer"


def test_one_that_takes_for_ever_is_ended_before_its_message(worker: Worker) -> None:
    def look() -> BaseException:
        assert worker.guard.overdue() == ""
        worker.now += CAPTION_S + 1
        assert worker.guard.overdue() == f"was ended since a caption took longer than {CAPTION_S:.0f} s"
        return Died()

    worker.blamed = [True]
    worker.harm = look
    worker.run()
    assert len(worker.skipped.all()) == 1


def test_they_are_read_again_on_request(worker: Worker) -> None:
    worker.run()
    assert worker.skipped.forget("space", "captions@2") == 0
    assert worker.skipped.forget("space", "captions@1") == 1
    assert worker.skipped.all() == []
