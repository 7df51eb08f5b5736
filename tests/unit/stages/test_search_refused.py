"""What no image has caused fails no image: captions that cannot be searched are a service that is unavailable."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from tasks.pipeline import PipelineOptions
from tests.unit.stages.made_up import SPACE, embedded, random_units
from vectordb.errors import Permanent
from vectordb.image_folder import FolderImages
from vectordb.index import CaptionIndex, IndexMissing, SearchRefused, UnusableVectors, WrongDimension
from vectordb.server_errors import KeyRefused
from workers.captions.versions import OpenIndexes
from workers.images.open_images import OpenImages
from workers.stages.handover import Handover
from workers.stages.work import Retrieval


class Broken:
    """Captions of which no version can be opened."""

    def __init__(self, fault: Exception) -> None:
        self.fault = fault
        self.released: list[str] = []

    def open(self, _: str) -> CaptionIndex:
        raise self.fault

    def release(self, captions_version: str) -> None:
        self.released.append(captions_version)


class Sent:
    def __init__(self) -> None:
        self.again = 0

    def submit_again(self, _: object) -> None:
        self.again += 1


def retrieved(tmp_path: Path, indexes: Broken, *, chosen: str) -> Sent:
    sent, images = Sent(), OpenImages(lambda: FolderImages(tmp_path), "space", SPACE.dimension)
    retrieval = Retrieval(
        cast("OpenIndexes", indexes), images, lambda: chosen, None, PipelineOptions(), cast("Handover", sent),
        embedded_at_once=16,
    )  # fmt: skip
    retrieval(embedded(random_units(3, 2)), cast("Any", None))
    return sent


@pytest.mark.parametrize("fault", [KeyRefused("no"), WrongDimension("7"), IndexMissing("away"), Permanent("no")])
def test_images_wait_until_the_captions_can_be_searched(tmp_path: Path, fault: Exception) -> None:
    indexes = Broken(fault)
    with pytest.raises(SearchRefused, match=str(fault)) as refused:
        retrieved(tmp_path, indexes, chosen="1")
    assert refused.value.service == "captions"
    assert indexes.released == ["1"]  # and is opened again


def test_a_version_that_was_dropped_is_replaced_by_the_one_in_use(tmp_path: Path) -> None:
    assert retrieved(tmp_path, Broken(IndexMissing("dropped")), chosen="2").again == 1


def test_vectors_without_a_direction_are_the_fault_of_their_image(tmp_path: Path) -> None:
    with pytest.raises(UnusableVectors):
        retrieved(tmp_path, Broken(UnusableVectors("zero")), chosen="1")
