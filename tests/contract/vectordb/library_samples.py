"""Captions, their manifest, and libraries of every kind to build them in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.homes import DIMENSION, HOMES, lent, vectors
from vectordb.captions import Caption
from vectordb.index import CaptionIndex
from vectordb.library import (
    ChangeableLibrary,
    Manifest,
)

NOON = "2025-06-01T12:00:00+00:00"


CAPTIONS = [Caption.of("word " * (1 + i % 7) + str(i), number=i) for i in range(50)]


# the library at a place, as another process sees it; what is opened with it must be closed
At = Callable[[str], ChangeableLibrary]


@pytest.fixture(params=[*HOMES, "cluster"])
def at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[At]:
    with lent(tmp_path) as homes:
        yield lambda place: homes(request.param, place)


@pytest.fixture
def library(at: At) -> ChangeableLibrary:
    return at("here")


def manifest(version: str = "v1", space: str = "mini", created: str = NOON, count: int = 50) -> Manifest:
    return Manifest(
        "starter", version, space, DIMENSION, count, None, created, origin="a test", read=60, duplicate=10
    )


def build(library: ChangeableLibrary, made: Manifest | None = None, captions: list[Caption] = CAPTIONS) -> Manifest:
    made = made or manifest()
    with library.building(made.space_id, made.captions_version, DIMENSION) as building:
        building.index.add(captions, vectors(captions))
        building.finish(made)
    return made


def interrupted(library: ChangeableLibrary, captions: list[Caption]) -> None:
    """A build that adds captions, notes that, and goes no further."""
    with library.building("mini", "starter@v1", DIMENSION) as building:
        building.index.add(captions, vectors(captions))
        (building.folder / "done").write_text(str(len(captions)))


def everything(index: CaptionIndex) -> list[Caption]:
    return [caption for page, _ in index.pages() for caption in page]
