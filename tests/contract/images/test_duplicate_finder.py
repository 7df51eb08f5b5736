"""Duplicates come from the index of images, and only those whose records are of the same version count."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from tasks.images.perceptual_hash import perceptual_hash
from tasks.message_parts import ObjectRef, Revision, Tag
from vectordb.image_server import ServerImages
from vectordb.images import ImageEntry, image_id
from vectordb.server_client import connect
from workers.images.duplicate_finder import FRESH_S, DuplicateFinder
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import Records
from workers.redis.connection import Client
from workers.redis.keys import Keys

PHOTOGRAPHS = ("chelsea.png", "coffee.png", "rocket.jpg")
REVISION = Revision("space", "captions@1")


def photograph(name: str) -> Image.Image:
    folder = Path(pytest.importorskip("skimage").__file__).parent / "data"
    return Image.open(folder / name).convert("RGB")


class Archive:
    """Pictures with entries in the index and records."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self.images = ServerImages.create(connect(":memory:"), "images", 16)
        self.ledger, self.records = Ledger(client, keys, 100), Records(client, keys)
        self.now = 0.0
        self.finder = DuplicateFinder(self.images, self.records, lambda: self.now)

    def add(self, key: str, image: Image.Image, seed: int, *, etag: str = "e", of: str = "e") -> None:
        data = io.BytesIO()
        image.save(data, "JPEG", quality=80)
        media = {"format": "JPEG", "width": image.width, "height": image.height, "bytes": len(data.getvalue())}
        vector = np.random.default_rng(seed).normal(size=(1, 16)).astype(np.float32)
        entry = ImageEntry("inbox", key, etag, hash=perceptual_hash(image), extra={"media": media})
        self.images.put([entry], vector)
        ref = ObjectRef("inbox", key, of)
        self.ledger.enter([Arrival(ref)], REVISION, 1.0, 60.0)
        record = Record(
            bucket="inbox", key=key, etag=of, state="done", space_id="space", captions_version="captions@1",
            tags=(Tag("cat", 1, 1, 1),),
        )  # fmt: skip
        assert self.ledger.finish([record], 2.0) == [True]


@pytest.fixture
def archive(client: Client, keys: Keys) -> Archive:
    made = Archive(client, keys)
    for seed, name in enumerate(PHOTOGRAPHS):
        made.add(name, photograph(name), seed)
    return made


def test_copies_are_grouped_behind_the_largest_and_others_are_not(archive: Archive) -> None:
    cat = photograph("chelsea.png")
    archive.add("small.jpg", cat.resize((cat.width // 2, cat.height // 2)), 0)
    archive.add("mirrored.jpg", ImageOps.mirror(cat).resize((cat.width // 3, cat.height // 3)), 0)
    (group,) = archive.finder.find()
    assert [copy.id for copy in group.copies] == ["inbox/chelsea.png", "inbox/small.jpg", "inbox/mirrored.jpg"]
    assert [copy.transform for copy in group.copies] == ["same", "same", "mirrored"]
    assert group.wasted == sum(copy.bytes for copy in group.copies[1:])


def test_an_image_that_was_overwritten_meanwhile_is_left_out(archive: Archive) -> None:
    archive.add("copy.jpg", photograph("coffee.png"), 1, etag="old", of="new")
    assert archive.finder.find() == []


def test_a_result_is_used_for_a_minute_unless_it_is_refreshed(archive: Archive) -> None:
    assert archive.finder.find() == []
    archive.add("copy.jpg", photograph("coffee.png"), 1)
    assert archive.finder.find() == []
    assert len(archive.finder.find(fresh=True)) == 1
    archive.images.remove([ImageEntry("inbox", "copy.jpg", "e").id])
    archive.now += FRESH_S + 1
    assert archive.finder.find() == []


def test_vectors_are_read_only_of_those_that_may_be_copies(archive: Archive) -> None:
    archive.add("copy.jpg", photograph("coffee.png"), 1)
    read: list[int] = []
    get = archive.images.get

    def counted(ids: Sequence[int]) -> object:
        read.extend(ids)
        return get(ids)

    archive.images.get = counted  # type: ignore[method-assign,assignment]  # counts them
    archive.images.pages = None  # type: ignore[method-assign,assignment]  # reads the vectors of all
    assert len(archive.finder.find()) == 1
    assert sorted(read) == sorted(image_id("inbox", key) for key in ("coffee.png", "copy.jpg"))
