"""A store that is eventually consistent shows what was there before, for some seconds, and then what is there."""

from __future__ import annotations

import pytest

from ops.chaos.old_versions import LAG_S, NOTHING, Answer, OldVersions
from tests.clock import Clock

PATH = "/photos/a"


def got(version: str) -> Answer:
    return Answer(200, (("ETag", version),), version.encode(), str(len(version)))


def head(version: str) -> Answer:
    return Answer(200, (("ETag", version),), None, str(len(version)))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def versions(clock: Clock) -> OldVersions:
    return OldVersions(clock=clock)


def test_the_version_before_is_seen_until_the_change_is_old_enough(versions: OldVersions, clock: Clock) -> None:
    assert versions.answer(PATH, got("one"), late=False).data == b"one"
    assert versions.answer(PATH, got("two"), late=True).data == b"one"
    assert versions.answer(PATH, head("two"), late=True).version == "one"
    clock.now += LAG_S - 0.1
    assert versions.answer(PATH, got("three"), late=True).data == b"one"
    clock.now += 0.1
    assert versions.answer(PATH, got("three"), late=True).data == b"three"
    assert versions.answer(PATH, got("three"), late=True).data == b"three"


def test_a_new_object_is_not_there_yet_and_a_removed_one_still_is(versions: OldVersions, clock: Clock) -> None:
    assert not versions.answer(PATH, got("one"), late=True).found
    clock.now += LAG_S
    assert versions.answer(PATH, got("one"), late=True).found
    assert versions.answer(PATH, NOTHING, late=True).data == b"one"
    clock.now += LAG_S
    assert not versions.answer(PATH, NOTHING, late=True).found


def test_everything_is_seen_when_it_no_longer_lags(versions: OldVersions) -> None:
    assert not versions.answer(PATH, got("one"), late=True).found
    assert versions.answer(PATH, got("one"), late=False).found


def test_a_header_alone_does_not_replace_the_body_that_was_read(versions: OldVersions) -> None:
    versions.answer(PATH, got("one"), late=False)
    versions.answer(PATH, head("one"), late=False)
    assert versions.answer(PATH, got("two"), late=True).data == b"one"


def test_a_body_that_was_never_read_cannot_be_shown(versions: OldVersions) -> None:
    versions.answer(PATH, head("one"), late=False)
    assert versions.answer(PATH, head("two"), late=True).version == "one"
    assert versions.answer(PATH, got("two"), late=True).data == b"two"
