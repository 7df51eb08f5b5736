"""A worker and ``wildtag tag`` see made files alike: the same pixels, the same codes, and what records tell."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.message_parts import Floats, Media
from tasks.messages import Batch
from tasks.pipeline import Pipeline
from tests.contract.stages.test_bad_input import World
from tests.hostile import depths, files, layouts, metadata, refused
from tests.hostile.picture import Case, base, difference, encoded, exif, stored
from tests.unit.stages.made_up import SPACE, MadeUpText, index_of, vector_of
from tests.warm import wildtag
from workers.embedded.one_process import Tagger
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.record import Error
from workers.redis.connection import Client
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring

CASES = [case for module in (metadata, depths, layouts, files, refused) for case in module.cases()]
LARGEST = 2**26  # bytes of a file
NO_IMAGES = {"named-a.eps", "named-a.mkv"}  # neither by name nor by content
# for the command itself; it runs what all of them go through in one process
SOME = [case for at, case in enumerate(CASES) if at % 40 == 0 or case.name in NO_IMAGES]


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


@dataclass(frozen=True)
class Way:
    """What one way makes of the files. ``pictures``: what its encoder gets, by name, in place of vectors."""

    outcomes: dict[str, tuple[str, str | None]]
    media: dict[str, Media | None]
    pictures: dict[str, Image.Image]


def by_a_worker(redis_url: str, folder: Path) -> Way:
    world = Worker(Settings(redis_url=redis_url, key_prefix="test:", home=folder, inbox=folder))
    seen = world.wiring.image_encoder = Seen()
    world.wiring.inbox.append([ObjectEvent("created", "inbox", case.name) for case in CASES])
    world.settle()
    names = [ref.key for batch in world.handed for ref in batch.objects]
    media = [about for batch in world.handed for about in batch.media]
    return Way(
        {key: _outcome(record.state, record.error) for key, record in world.records().items()},
        dict(zip(names, media, strict=True)), dict(zip(names, seen.pictures, strict=True)),
    )  # fmt: skip


def by_one_process(folder: Path) -> Way:
    """The class that ``wildtag tag`` runs."""
    seen = Seen()
    options = Wiring(Settings(home=folder, inbox=folder)).pipeline_options
    tagger = Tagger(Pipeline(seen, MadeUpText(), index_of(()), "1", pipeline_options=options), LARGEST)
    records = tagger.tag([folder / case.name for case in CASES], 0.0)
    done = [(Path(record.key).name, record.media) for record in records if record.state == "done"]
    return Way(
        {Path(record.key).name: _outcome(record.state, record.error) for record in records},
        dict(done), dict(zip([name for name, _ in done], seen.pictures, strict=True)),
    )  # fmt: skip


def test_every_file_both_ways(redis_url: str, client: Client, tmp_path: Path) -> None:  # noqa: ARG001 -- empties Redis
    for case in CASES:
        (tmp_path / case.name).write_bytes(case.make())
    worker, process = by_a_worker(redis_url, tmp_path), by_one_process(tmp_path)
    assert worker.outcomes == process.outcomes
    assert worker.media == process.media
    assert worker.pictures.keys() == process.pictures.keys()
    for case in CASES:
        state, code = worker.outcomes[case.name]
        assert (code or "done") == case.outcome or (state == "skipped" and case.outcome == "empty"), case.name
        if case.outcome != "done":
            continue
        picture, about = worker.pictures[case.name], worker.media[case.name]
        assert picture.tobytes() == process.pictures[case.name].tobytes(), case.name
        assert case.looks is None or difference(picture, case.looks()) <= case.within, case.name
        assert about is not None
        assert about.bytes == (tmp_path / case.name).stat().st_size
        if about.format != "RAW":
            assert (about.width, about.height) == picture.size, case.name


def _outcome(state: str, error: Error | None) -> tuple[str, str | None]:
    return state, None if error is None else error.code


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
        "latitude": None, "longitude": None, "warnings": [],
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
