"""Exemplars follow what people say and what becomes of their images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tasks.message_parts import Floats, ObjectRef, Revision, Vectors
from tasks.messages import Embedded
from tests.unit.lifecycle.statements_samples import record, said
from vectordb.image_folder import FolderImages
from vectordb.images import ImageEntry, image_id
from vectordb.index import IndexFault
from workers.images.departures import NEAR_MOST
from workers.images.examples import RECHECK_S, ExampleBook
from workers.images.open_images import PAUSE_S, OpenImages
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record_reader import Records
from workers.lifecycle.statements import Statements
from workers.redis.connection import Client
from workers.redis.keys import Keys

DIMENSION = 16
COUNT = 30
REVISION = Revision("space", "captions@1")


class Library(FolderImages):
    """``fault``: the index cannot be opened."""

    fault = False

    def open(self, space_id: str, dimension: int):  # type: ignore[no-untyped-def]
        if self.fault:
            raise IndexFault("made up")
        return super().open(space_id, dimension)


class Archive:
    """An archive of images at random, a book of its exemplars, and a clock. Image 0 has copies, 100 and above."""

    def __init__(self, client: Client, keys: Keys, folder: Path) -> None:
        self.now = 1000.0
        self.ledger = Ledger(client, keys, 100)
        self.records = Records(client, keys)
        self.statements = Statements(client, keys)
        self.library = Library(folder)
        self.images = OpenImages(lambda: self.library, "space", DIMENSION, lambda: self.now)
        self.book = ExampleBook(self.images, self.statements, self.records, None, clock=lambda: self.now)
        self.rows = units(COUNT)
        for number in range(COUNT):
            self.tag(number, self.rows[number])

    def tag(self, number: int, row: Floats, etag: str = "e1") -> None:
        """Index an image and write its record."""
        key = f"{number}.jpg"
        self.images.index().put([ImageEntry("inbox", key, etag)], row[None])
        ref = ObjectRef("inbox", key, etag)
        self.ledger.enter([Arrival(ref, force=True)], REVISION, self.now, self.now + 60)
        self.ledger.finish([record("cat", key=key, etag=etag)], self.now)

    def say(self, number: int, label: str | None, etag: str = "e1") -> None:
        statement = None if label is None else said(label, etag=etag)
        self.statements.change(f"inbox/{number}.jpg", label or "Chelsea", statement)

    def gained(self, row: Floats) -> list[str]:
        """The labels that a new image with this vector gains."""
        batch = Embedded(
            objects=(ObjectRef("inbox", "new.jpg", "e1"),), revision=REVISION, vectors=Vectors.of(row[None])
        )
        judged = self.book.judge(batch)
        return [one.label for one in judged[0].gained] if judged else []


def units(count: int, seed: int = 3) -> Floats:
    drawn = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    unit: Floats = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return unit


@pytest.fixture
def archive(client: Client, keys: Keys, tmp_path: Path) -> Iterator[Archive]:
    made = Archive(client, keys, tmp_path / "captions")
    yield made
    made.images.close()


def test_what_is_said_and_taken_back_counts_at_once(archive: Archive) -> None:
    assert archive.gained(archive.rows[0]) == []
    archive.say(0, "Chelsea")
    assert archive.gained(archive.rows[0]) == ["Chelsea"]
    assert archive.gained(archive.rows[1]) == []
    archive.say(0, None)
    assert archive.gained(archive.rows[0]) == []


def test_an_image_is_no_example_for_itself(archive: Archive) -> None:
    archive.say(0, "Chelsea")
    own = Embedded(
        objects=(ObjectRef("inbox", "0.jpg", "e1"),), revision=REVISION, vectors=Vectors.of(archive.rows[:1])
    )
    assert archive.book.judge(own)[0].gained == ()


def test_exemplars_stay_while_the_index_fails_and_new_ones_come_when_it_works_again(archive: Archive) -> None:
    archive.say(0, "Chelsea")
    assert archive.gained(archive.rows[0]) == ["Chelsea"]
    archive.images.close()
    archive.library.fault = True
    archive.say(1, "Moka pot")
    assert archive.gained(archive.rows[0]) == ["Chelsea"]
    assert archive.gained(archive.rows[1]) == []
    archive.library.fault = False
    archive.now += PAUSE_S
    assert archive.gained(archive.rows[1]) == ["Moka pot"]


def test_an_exemplar_goes_with_its_image_and_comes_back_with_it(archive: Archive) -> None:
    archive.say(0, "Chelsea")
    assert archive.gained(archive.rows[0]) == ["Chelsea"]
    archive.ledger.remove(["inbox/0.jpg"])
    archive.images.index().remove([image_id("inbox", "0.jpg")])
    archive.now += RECHECK_S
    assert archive.gained(archive.rows[0]) == []
    archive.tag(0, archive.rows[0])
    archive.now += RECHECK_S
    assert archive.gained(archive.rows[0]) == ["Chelsea"]


def test_an_overwritten_image_is_no_exemplar(archive: Archive) -> None:
    archive.say(0, "Chelsea")
    archive.tag(0, archive.rows[5], etag="e2")
    archive.now += RECHECK_S
    assert archive.gained(archive.rows[0]) == []
    assert archive.gained(archive.rows[5]) == []


def test_what_was_said_in_another_space_counts_once_its_images_are_in_this_one(archive: Archive) -> None:
    archive.images.index().remove([image_id("inbox", "0.jpg")])
    archive.say(0, "Chelsea")
    assert archive.gained(archive.rows[0]) == []
    archive.tag(0, archive.rows[0])
    archive.now += RECHECK_S
    assert archive.gained(archive.rows[0]) == ["Chelsea"]


def test_the_images_like_one_are_named_nearest_first_and_it_says_if_there_are_more(archive: Archive) -> None:
    for number in range(100, 105):
        archive.tag(number, archive.rows[0])
    near = archive.book.near("inbox", "0.jpg")
    assert {key for _, key, _ in near.images} == {f"{number}.jpg" for number in range(100, 105)}
    assert (near.etag, near.more) == ("e1", False)
    assert archive.book.near("inbox", "nothing.jpg").etag is None
    copies = [ImageEntry("inbox", f"copy{number}.jpg", "e1") for number in range(NEAR_MOST)]
    archive.images.index().put(copies, np.tile(archive.rows[0], (NEAR_MOST, 1)))
    assert archive.book.near("inbox", "0.jpg").more


def test_an_exemplar_without_departures_counts_from_the_next_batch_on(archive: Archive) -> None:
    """As for an encoder that prepares: it has the statements before the images, and waits for no clock."""
    archive.say(COUNT, "Anna")
    row = units(COUNT + 1)[COUNT]
    assert archive.gained(row) == []
    ref = ObjectRef("inbox", f"{COUNT}.jpg", "e1")
    archive.book.judge(Embedded(objects=(ref,), revision=REVISION, vectors=Vectors.of(row[None])))
    archive.tag(COUNT, row)
    assert archive.gained(row) == ["Anna"]
