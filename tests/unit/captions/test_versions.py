"""Which version is searched, and which versions a process has open."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from tasks.extraction.parse import definition
from tasks.extraction.phrases import BY
from vectordb.exact import ExactIndex
from vectordb.index import CaptionIndex, IndexMissing
from vectordb.library import Manifest, split
from vectordb.starter import TEMPLATE, captions
from workers.captions.versions import (
    ActiveVersion,
    OpenIndexes,
    SeveralVersions,
    chosen,
    known_phrases,
    only,
    starter,
)


class Index(ExactIndex):
    """Knows whether it is closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


@dataclass
class Shelf:
    """A ``Library`` of made-up versions."""

    versions: list[tuple[str, str]] = field(default_factory=list)  # space, name@version; the oldest first
    current: str | None = None
    half: list[tuple[str, str]] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    asked: int = 0

    def find(self, space_id: str, captions_version: str) -> Manifest | None:
        return next((m for m in self.manifests(space_id) if m.captions_version == captions_version), None)

    def manifests(self, space_id: str | None = None) -> list[Manifest]:
        return [
            Manifest(*split(version), space, 4, 1, None, "2025-06-01T12:00:00+00:00")
            for space, version in self.versions
            if space_id in (None, space)
        ]

    def unfinished(self) -> list[tuple[str, str]]:
        return self.half

    def active(self, space_id: str) -> str | None:  # noqa: ARG002 -- the Protocol's
        self.asked += 1
        return self.current

    def open(self, space_id: str, captions_version: str) -> CaptionIndex:
        if self.find(space_id, captions_version) is None:
            raise IndexMissing(captions_version)
        self.opened.append(captions_version)
        return Index(4)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


SHELF = [("mini", "cars@1"), ("clip", "cars@9"), ("mini", "cars@2"), ("mini", "food@1"), ("clip", "birds@1")]


def test_what_is_asked_for_is_chosen() -> None:
    shelf = Shelf(SHELF)
    assert chosen(shelf, "mini", "cars@1") == "cars@1"
    assert chosen(shelf, "mini", "cars") == "cars@2"  # the newest
    assert chosen(shelf, "mini", "starter") == starter()
    assert chosen(shelf, "mini", None) == starter()  # nothing was ever switched
    shelf.current = "food@1"
    assert chosen(shelf, "mini", None) == "food@1"


def test_captions_of_another_space_are_refused_with_the_space_they_need() -> None:
    with pytest.raises(IndexMissing, match=r"birds are for the space clip.*WILDTAG_ENCODER"):
        chosen(Shelf(SHELF), "mini", "birds")


def test_captions_that_are_not_there_are_refused_with_those_that_are() -> None:
    with pytest.raises(IndexMissing, match="there are: cars, food"):
        chosen(Shelf(SHELF), "mini", "planes")
    with pytest.raises(IndexMissing, match="there are: none"):
        chosen(Shelf(), "mini", "planes")


def test_what_cannot_be_undone_wants_one_version() -> None:
    shelf = Shelf(SHELF)
    assert only(shelf, "mini", "food") == "food@1"
    assert only(shelf, "mini", "cars@1") == "cars@1"
    with pytest.raises(SeveralVersions, match="cars@1, cars@2"):
        only(shelf, "mini", "cars")
    with pytest.raises(IndexMissing):
        only(shelf, "mini", "planes")
    shelf.half = [("clip", "planes@1"), ("mini", "planes@2")]
    assert only(shelf, "mini", "planes") == "planes@2"


def test_a_switch_is_noticed_within_half_a_second() -> None:
    shelf, clock = Shelf(SHELF, current="cars@1"), Clock()
    version = ActiveVersion(shelf, "mini", None, clock)
    assert version() == "cars@1"
    shelf.current = "cars@2"
    assert version() == "cars@1"
    clock.now = 0.5
    assert version() == "cars@2"
    assert shelf.asked == 2


def test_a_version_is_opened_once_and_the_one_before_stays_open() -> None:
    shelf, clock = Shelf(SHELF), Clock()
    indexes = OpenIndexes(shelf, "mini", clock)
    first = indexes.open("cars@1")
    assert indexes.open("cars@1") is first
    second = indexes.open("cars@2")
    assert indexes.open("cars@1") is first
    third = indexes.open("food@1")
    assert isinstance(first, Index)
    assert isinstance(second, Index)
    assert (first.closed, second.closed) == (False, True)  # cars@2 was unused the longest
    assert shelf.opened == ["cars@1", "cars@2", "food@1"]
    clock.now = 1000.0
    assert indexes.open("food@1") is third
    assert first.closed  # nothing has asked for it for long
    indexes.release("food@1")
    indexes.release("food@1")
    assert indexes.open("food@1") is not third


def test_a_version_that_is_missing_is_not_remembered() -> None:
    shelf = Shelf([])
    indexes = OpenIndexes(shelf, "mini")
    with pytest.raises(IndexMissing):
        indexes.open("cars@1")
    shelf.versions.append(("mini", "cars@1"))
    indexes.open("cars@1")


@pytest.mark.parametrize(
    ("template", "profile", "known"),
    [(TEMPLATE, None, True), (None, BY, True), (None, None, False), ("a photo of {}", None, False),
     (None, "phrases/1/another-model", False)],
)  # fmt: skip
def test_captions_that_are_definitions_or_were_parsed_need_no_parser(
    template: str | None, profile: str | None, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf([("space", "soups@1")])
    manifest = replace(shelf.manifests()[0], template=template, profile=profile)
    monkeypatch.setattr(shelf, "find", lambda _, version: manifest if version == "soups@1" else None)
    assert known_phrases(shelf, "space", "soups@1") == known
    assert not known_phrases(shelf, "space", "unknown@1")


def test_every_starter_caption_is_a_definition() -> None:
    """So the extraction worker loads no parser where they are in use."""
    assert [caption.text for caption in captions() if definition(caption.text) is None] == []
