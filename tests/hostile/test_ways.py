"""A worker and ``wildtag tag`` see made files alike: the same pixels, the same codes, and what records tell."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.messages import Batch, Floats, Media
from tests.contract.stages.test_bad_input import World
from tests.hostile import depths, files, layouts, metadata, refused
from tests.hostile.picture import Case, base, difference, encoded, exif, stored
from tests.unit.stages.made_up import SPACE, vector_of
from tests.warm import wildtag
from workers.lifecycle.event import ObjectEvent
from workers.redis.connection import Client
from workers.settings.settings import Settings

CASES = [case for module in (metadata, depths, layouts, files, refused) for case in module.cases()]
SOME = [case for case in CASES[::9] if "/" not in case.name]
NO_IMAGES = {"named-a.eps", "named-a.mkv"}  # neither by name nor by content


class Seen:
    """An encoder that keeps the pictures that it is given."""

    space, side = SPACE, 1000  # no made file is decoded at a smaller size

    def __init__(self) -> None:
        self.pictures: list[Image.Image] = []

    def encode(self, images: Sequence[Image.Image]) -> Floats:
        self.pictures += images
        return np.stack([vector_of("a picture", SPACE.dimension) for _ in images])


class Worker(World):
    """Keeps what the embedding stage hands on."""

    def _work(self, stage: str, batch: Batch, retries: int) -> None:
        if stage == "retrieval":
            self.handed = [*getattr(self, "handed", []), batch]
        super()._work(stage, batch, retries)


def test_in_a_worker(redis_url: str, client: Client, tmp_path: Path) -> None:  # noqa: ARG001 -- client empties Redis
    settings = Settings(redis_url=redis_url, key_prefix="test:", home=tmp_path, inbox=tmp_path)
    world = Worker(settings)
    seen = world.wiring.image_encoder = Seen()
    for case in SOME:
        (tmp_path / case.name).write_bytes(case.make())
    world.wiring.inbox.append([ObjectEvent("created", "inbox", case.name) for case in SOME])
    world.settle()
    records = world.records()
    assert {case.name: _outcome(records[case.name].state, records[case.name].error) for case in SOME} == {
        case.name: case.outcome for case in SOME
    }
    names = [ref.key for batch in world.handed for ref in batch.objects]
    media = [about for batch in world.handed for about in batch.media]
    assert len(names) == len(media) == len(seen.pictures)
    shown = dict(zip(names, zip(seen.pictures, media, strict=True), strict=True))
    for case in SOME:
        if case.outcome == "done" and case.looks is not None:
            picture, about = shown[case.name]
            assert difference(picture, case.looks()) <= case.within, case.name
            if about.format != "RAW":
                assert (about.width, about.height) == picture.size
            assert about.bytes == (tmp_path / case.name).stat().st_size


def _outcome(state: str, error: object) -> str:
    return state if error is None else str(getattr(error, "code", ""))


@pytest.mark.timeout(600)
def test_on_the_command_line(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared, tmp_path / "home")
    folder = tmp_path / "photos"
    folder.mkdir()
    for case in SOME:
        (folder / case.name).write_bytes(case.make())
    camera = {271: (2, b"Maker\0"), 272: (2, b"Model 1\0"), 306: (2, b"2024:05:06 07:08:09\0")}
    (folder / "camera.jpg").write_bytes(encoded(stored(6), "JPEG", exif=exif(6, camera)))
    paths = [str(folder / name) for name in [*(case.name for case in SOME), "camera.jpg"]]
    env = {**os.environ, "WILDTAG_HOME": str(tmp_path / "home")}
    done = wildtag("tag", "--json", *paths, env=env, timeout=400)
    assert done.returncode == 1, done.stderr  # some have failed
    records = {Path(record["key"]).name: record for record in map(json.loads, done.stdout.splitlines())}
    for case in SOME:
        _held(case, records[case.name])
    assert records["camera.jpg"]["media"] == {
        "format": "JPEG", "width": base().width, "height": base().height, "frames": 1, "preview": False,
        "bytes": (folder / "camera.jpg").stat().st_size, "taken_at": "2024-05-06T07:08:09", "camera": "Maker Model 1",
        "latitude": None, "longitude": None,
    }  # fmt: skip
    assert set(records["camera.jpg"]["media"]) == set(Media.__struct_fields__)


def _held(case: Case, record: dict[str, object]) -> None:
    error = record["error"]
    if case.outcome == "done":
        assert (record["state"], error) == ("done", None), case.name
        assert record["media"], case.name
    else:
        assert isinstance(error, dict)
        assert error["code"] == case.outcome, case.name
        assert record["state"] == ("skipped" if case.name in NO_IMAGES else "failed"), case.name
        assert case.says.lower() in error["reason"].lower()
