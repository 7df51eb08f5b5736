"""Words are encoded ahead while nothing else is to be done, once, and never beside an image."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.eventually import eventually
from vectordb.captions import Caption
from vectordb.errors import Transient
from workers.captions.word_store import WordStore
from workers.redis.words_progress import WordsProgress
from workers.stages import words_ahead
from workers.stages.words_ahead import LOOK_S, QUIET_S, REST_S, SLICE, WordsAhead


class Machine:
    """Captions of one word each, and what becomes of them. A word takes ``word_s`` seconds."""

    def __init__(self, path: Path, captions: int = 20) -> None:
        self.now = 1000.0
        self.word_s = 0.001
        self.in_progress = False
        self.version = "starter@1"
        self.captions = [Caption(number, f"word {number}") for number in range(captions)]
        self.calls: list[list[str]] = []
        self.encoded: list[str] = []
        self.reports: list[WordsProgress] = []
        self.fault: Exception | None = None
        self.store = WordStore(path / "words.sqlite")
        self.ahead = self.started()

    def started(self) -> WordsAhead:
        return WordsAhead(
            self.store, lambda: self.version, self.pages, lambda page: [one.text for one in page], self.encode,
            lambda: self.in_progress, self.reports.append, "recipe", lambda: self.now,
        )  # fmt: skip

    def pages(self, version: str, after: int) -> Iterator[Sequence[Caption]]:
        assert version == self.version
        left = [one for one in self.captions if one.id > after]
        for start in range(0, len(left), 12):
            yield left[start : start + 12]

    def encode(self, words: Sequence[str]) -> None:
        if self.fault is not None:
            raise self.fault
        self.calls.append(list(words))
        self.encoded += words
        self.now += self.word_s * len(words)

    def work(self, steps: int = 100) -> None:
        for _ in range(steps):
            self.now += self.ahead.step()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_all_words_are_encoded_once_and_never_again(machine: Machine) -> None:
    machine.work()
    assert machine.encoded == [f"word {number}" for number in range(20)]
    assert machine.reports[-1] == WordsProgress("starter@1", 20, 20, finished=True)
    assert machine.ahead.step() == REST_S
    machine.ahead = machine.started()  # in another process, or after a restart
    machine.work()
    assert len(machine.encoded) == 20
    assert machine.reports[-1].finished
    machine.version = "mine@1"
    machine.work()
    assert len(machine.encoded) == 40


def test_nothing_is_done_until_the_machine_has_been_quiet(machine: Machine) -> None:
    begun = machine.now
    while not machine.encoded:
        machine.now += machine.ahead.step()
    assert machine.now - begun >= QUIET_S


def test_an_image_stops_it_at_once_and_for_a_while(machine: Machine) -> None:
    while not machine.encoded:
        machine.now += machine.ahead.step()
    machine.in_progress = True
    before = len(machine.encoded)
    assert machine.ahead.step() == LOOK_S
    machine.in_progress = False
    begun = machine.now
    while len(machine.encoded) == before:
        machine.now += machine.ahead.step()
    assert machine.now - begun >= QUIET_S - LOOK_S
    machine.work()
    assert machine.encoded == [f"word {number}" for number in range(20)]


def test_half_of_a_core_stays_free_and_a_slow_model_encodes_few_words_at_a_time(machine: Machine) -> None:
    machine.work(15)
    assert max(map(len, machine.calls)) == SLICE
    assert machine.ahead.step() >= 0
    machine.version, machine.word_s, machine.calls = "slow@1", 0.02, []
    machine.work()
    assert [len(call) for call in machine.calls] == [SLICE, *[1] * (20 - SLICE)]


def test_it_rests_as_long_as_it_has_worked(machine: Machine) -> None:
    while not machine.encoded:
        machine.now += machine.ahead.step()
    before = machine.now
    rest = machine.ahead.step()
    assert rest == pytest.approx(machine.now - before)


@pytest.mark.parametrize(
    "fault",
    [
        sqlite3.OperationalError("database or disk is full"), PermissionError("read-only"),
        RuntimeError("the model has no memory"),
    ],
)  # fmt: skip
def test_what_ends_it_is_reported(machine: Machine, fault: Exception) -> None:
    machine.fault = fault
    machine.now += QUIET_S
    machine.ahead.start()
    eventually(lambda: machine.reports and machine.reports[-1].fault)
    assert str(machine.reports[-1]) == f"stopped: {fault}"


def test_a_full_store_is_not_reported_as_complete(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words_ahead, "MOST", 12)
    machine.store.set_many({f"word/{number}": b"1" for number in range(12)})
    for _ in range(2):
        machine.ahead = machine.started()
        machine.work()
        assert machine.ahead.step() == REST_S
        assert not machine.reports[-1].finished
        assert str(machine.reports[-1]).startswith("stopped: 12 words are kept at most")
    assert machine.encoded == []
    assert not machine.store.is_finished("recipe/starter@1")


def test_a_fault_loses_no_word(machine: Machine) -> None:
    while not machine.encoded:
        machine.now += machine.ahead.step()
    machine.fault = Transient("the owner of the captions does not answer")
    with pytest.raises(Transient):
        machine.ahead.step()
    machine.fault = None
    machine.work()
    assert machine.encoded == [f"word {number}" for number in range(20)]
