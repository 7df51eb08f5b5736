"""The verdict on tags, statements and segments finds each kind of fault, and nothing where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.chaos.album import Album
from ops.chaos.captions import Lesson, Switches
from ops.chaos.people import METHOD, People, Said
from ops.chaos.shelves import FolderShelf
from ops.chaos.tag_verdict import judge_lessons, judge_segments, judge_tags
from ops.chaos.truth import Parts, Scores, Truth
from tasks.message_parts import Likeness, Tag
from tasks.segmentation.results import RunLengths, Segment
from workers.lifecycle.record import Record, Segmentation

CAT, SOFA, MINE = "cat", "sofa", "chaos 1"
NOW = {"one.jpg": "e1", "copy.jpg": "e2", "other.jpg": "e3"}
PICTURES = {"one.jpg": 0, "copy.jpg": 0, "other.jpg": 2}


class Known(Truth):
    """Knows the same of every picture."""

    def __init__(self) -> None:
        super().__init__(Path())

    def tags(self, _: object) -> dict[tuple[int, str], Scores]:
        return {(picture, "v@1"): {CAT: 0.6, SOFA: 0.3} for picture in PICTURES.values()}

    def untaught_tags(self, wanted: object) -> dict[tuple[int, str], Scores]:
        """A lesson concerned the picture 0."""
        return self.tags(wanted) | {(0, "v@1"): {CAT: 0.6}}

    def segments(self, _: object, __: str) -> dict[tuple[int, str], Parts]:
        return {(picture, "v@1"): [(CAT, 500)] for picture in PICTURES.values()}

    def untaught_segments(self, wanted: object, method: str) -> dict[tuple[int, str], Parts]:
        """A lesson concerned the picture 2."""
        return self.segments(wanted, method) | {(2, "v@1"): []}


def tag(label: str, score: float, **more: object) -> Tag:
    return Tag(label, score, score, score, **more)  # type: ignore[arg-type]


def part(label: str) -> Segment:
    return Segment(label=label, score=0.5, box=(0, 0, 1, 1), area=0.5, mask=RunLengths((1, 1), ""))


def record(key: str, *tags: Tag, **more: object) -> Record:
    return Record(
        bucket="inbox", key=key, etag=NOW[key], state="done", space_id="s", captions_version="v@1",
        tags=tags or (tag(CAT, 0.6), tag(SOFA, 0.3)), **more,  # type: ignore[arg-type]
    )  # fmt: skip


def said(key: str, label: str, accepted: bool | None, at: float = 1.0) -> Said:
    return Said(key, label, accepted, NOW[key], at, None, ())


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(Album(FolderShelf(tmp_path)), str, "a-key", Switches(dict, [], "v@1"), int)


def found(
    people: People, *records: Record, must: bool = True, unfollowed: frozenset[str] = frozenset()
) -> list[tuple[str, str]]:
    """The kind of each finding, and the key that it begins with."""
    everything = {one.key: one for one in map(record, NOW)} | {one.key: one for one in records}
    findings: list[tuple[str, str]] = []

    def add(kind: str, text: str) -> None:
        findings.append((kind, text.partition(":")[0]))

    judge_tags(add, everything, NOW, PICTURES, {}, people, Known(), unfollowed)
    judge_segments(add, everything, PICTURES, dict.fromkeys(people.segmented, must), people, Known())
    return findings


def test_nothing_is_found_where_all_is_well(people: People) -> None:
    mine, like = Likeness(MINE, "inbox/one.jpg", 1.0, 0.9), (tag(CAT, 0.6), tag(SOFA, 0.3))
    people.said = [said("one.jpg", MINE, True)]
    own = record("one.jpg", tag(MINE, 1.0, source="person"), *like)
    copy = record("copy.jpg", tag(MINE, 1.0, source="example", example=mine), *like)
    assert found(people, own, copy) == []


@pytest.mark.parametrize("tags", [(tag(CAT, 0.6),), (tag(CAT, 0.5), tag(SOFA, 0.3)), (tag("dog", 0.6),)])
def test_other_tags_than_those_of_one_process_are_wrong(people: People, tags: tuple[Tag, ...]) -> None:
    assert found(people, record("other.jpg", *tags)) == [("wrong", "other.jpg")]


def test_a_statement_that_does_not_hold_is_lost(people: People) -> None:
    people.said = [said("one.jpg", MINE, True), said("other.jpg", CAT, False)]
    assert found(people) == [("stale", "other.jpg"), ("lost", "one.jpg"), ("lost", "copy.jpg"), ("lost", "other.jpg")]


def test_what_was_taken_back_and_is_still_there_is_stale(people: People) -> None:
    people.said = [said("one.jpg", MINE, True), said("one.jpg", MINE, None, 2.0)]
    like = (tag(CAT, 0.6), tag(SOFA, 0.3))
    own = record("one.jpg", tag(MINE, 1.0, source="person"), *like)
    gained = tag(MINE, 1.0, source="example", example=Likeness(MINE, "inbox/one.jpg", 1.0, 0.9))
    assert found(people, own, record("copy.jpg", gained, *like)) == [("stale", "copy.jpg"), ("stale", "one.jpg")]


def test_only_images_that_a_lesson_concerns_may_not_know_it_and_only_if_it_may_be_lost(people: People) -> None:
    less = [record(key, tag(CAT, 0.6)) for key in ("one.jpg", "other.jpg")]
    assert found(people, *less) == [("wrong", "one.jpg"), ("wrong", "other.jpg")]
    assert found(people, *less, unfollowed=frozenset({"v@1"})) == [("wrong", "other.jpg")]


def test_captions_that_were_taught_are_there_and_no_others() -> None:
    switches = Switches(dict, [], "v@1")
    switches.lessons = [
        Lesson("v@1", "a cat", 1.0, 2.0),
        Lesson("v@1", "a dog", 3.0),
        Lesson("w@1", "a cow", 4.0, 5.0),
    ]
    findings: list[tuple[str, str]] = []

    def judged(there: dict[str, set[str]]) -> list[tuple[str, str]]:
        findings.clear()
        judge_lessons(lambda kind, text: findings.append((kind, text.partition(":")[0])), switches, there.__getitem__)
        return findings

    assert judged({"v@1": {"a cat"}, "w@1": {"a cow"}}) == []
    assert judged({"v@1": {"a cat", "a dog"}, "w@1": {"a cow"}}) == []  # nobody knows whether that was added
    assert judged({"v@1": {"a dog", "a pig"}, "w@1": {"a cow"}}) == [("lost", "v@1"), ("leaked", "v@1")]


def test_segments_are_there_where_somebody_asked_for_them_and_as_one_process_finds_them(people: People) -> None:
    people.segmented = {"one.jpg": 1.0, "copy.jpg": 1.0}
    parts = Segmentation(method=METHOD, segments=(part(CAT),))
    assert found(people, record("one.jpg", segmentation=parts)) == [("lost", "copy.jpg")]
    assert found(people, record("one.jpg", segmentation=parts), must=False) == []
    assert found(people, *(record(key, segmentation=parts) for key in NOW)) == [("wrong", "other.jpg")]
    dog = Segmentation(method=METHOD, segments=(part("dog"),))
    both = (record("one.jpg", segmentation=parts), record("copy.jpg", segmentation=dog))
    assert found(people, *both) == [("wrong", "copy.jpg")]
    people.segmented = {"other.jpg": 1.0}
    assert found(people, record("other.jpg", segmentation=dog)) == []  # as it was before the lesson, perhaps
