"""Which captions an object may be tagged with, from when they were switched."""

from __future__ import annotations

import json
import subprocess

import pytest

from ops.chaos import captions as module
from ops.chaos.captions import FOLLOWED_S, GRACE_S, Lesson, Switches, Used
from vectordb.errors import Permanent

ADDED = json.dumps({"caption": "a cat", "images": 3})
UNHEARD = json.dumps({"caption": "a cat", "images": None})


def switched(*used: Used) -> Switches:
    made = Switches(dict, ["a", "b"], "starter")
    made.used += used
    return made


def test_what_was_changed_before_a_switch_may_have_both_and_later_only_the_new_one() -> None:
    switches = switched(Used("a", 100.0, 105.0))
    assert switches.allowed(50.0) == {"starter", "a"}
    assert switches.allowed(105.0 + GRACE_S) == {"starter", "a"}
    assert switches.allowed(106.0 + GRACE_S) == {"a"}


def test_a_switch_of_which_nobody_knows_whether_it_was_done_allows_the_version_before() -> None:
    switches = switched(Used("a", 100.0, 105.0), Used("b", 200.0))
    assert switches.allowed(1000.0) == {"a", "b"}


class Answered(Switches):
    """Its commands have these statuses and outputs in turn."""

    def __init__(self, *answers: tuple[int, str]) -> None:
        super().__init__(dict, [], "v@1")
        self.answers = list(answers)
        self.sent: list[tuple[str, ...]] = []

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        self.sent.append(arguments)
        status, output = self.answers.pop(0)
        return subprocess.CompletedProcess(arguments, status, output, "")


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.chaos.captions.time.sleep", lambda _: None)


def test_a_lesson_is_repeated_until_it_is_taken() -> None:
    switches = Answered((1, ""), (0, ADDED))
    switches.teach("a cat")
    assert switches.sent == [("captions", "add", "a cat", "--source", "chaos", "--captions", "v@1", "--json")] * 2
    assert switches.lessons[0].done is not None
    assert len(switches.taught_at) == 2
    assert switches.unfollowed([]) == frozenset()


@pytest.mark.parametrize("answers", [[(0, UNHEARD)], [(1, ""), (0, "")]])
def test_a_lesson_of_which_the_stack_may_not_have_heard_is_unsure(answers: list[tuple[int, str]]) -> None:
    switches = Answered(*answers)
    switches.teach("a cat")
    assert switches.lessons[0].done is not None
    assert switches.unfollowed([]) == {"v@1"}


def test_a_lesson_that_redis_may_have_lost_is_unsure() -> None:
    switches = Answered((0, ADDED))
    switches.teach("a cat")
    done = switches.lessons[0].done or 0.0
    assert switches.unfollowed([(done + 5, done + 7)]) == {"v@1"}
    assert switches.unfollowed([(done + FOLLOWED_S + 5, done + FOLLOWED_S + 7)]) == frozenset()


def test_an_older_copy_is_taught_again_and_what_it_has_stays_as_sure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    switches = Answered((0, ADDED), (0, ""), (0, ADDED))
    switches.teach("a cat")
    switches.lessons.append(Lesson("other@1", "a dog", 1.0))
    switches.teach_again("v@1")
    assert switches.unfollowed([]) == {"other@1"}
    switches.teach_again("v@1")
    assert len(switches.sent) == 3
    monkeypatch.setattr(module, "_COMMAND_S", 0.0)
    with pytest.raises(Permanent, match="a cat"):
        switches.teach_again("v@1")
