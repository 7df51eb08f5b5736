"""With the setting ``video`` videos are tagged on every way; without it they are skipped, and the reason names it."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av", reason="PyAV is missing: pip install 'wildtag[video]'")

from tasks.images import decode
from tasks.message_parts import Floats, Media
from tests.acceptance.images import one_pixel
from tests.contract.gateway.running import problem, running, wired
from tests.contract.real_servers import key_pair
from tests.contract.stages.test_bad_input import World
from tests.hostile.videos import audio, made, shown, which
from tests.unit.stages.made_up import SPACE, MadeUpImages, MadeUpText, index_of, picture
from workers.diagnostics.doctor import examine
from workers.embedded.one_process import Tagger
from workers.evaluation.adapters import answering
from workers.gateway.uploads import SUFFIXES, VIDEO_SUFFIXES
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.skipping import VIDEO_SUFFIXES as MEANT
from workers.redis.connection import Client
from workers.settings.settings import Settings
from workers.stores.s3 import S3Store
from workers.wiring.models import pipeline_options
from workers.wiring.wiring import Wiring

VIDEO = made()
FRAMES = [shown(at) for at in range(40)]
FILES = {
    "film.mp4": VIDEO, "film": VIDEO, "half.mp4": VIDEO[: len(VIDEO) // 2], "half": VIDEO[: len(VIDEO) // 2],
    "sound.mp4": audio(), "song.m4a": audio("ipod"), "sound.dat": audio(), "text.mov": b"text", "a.png": one_pixel(),
}  # fmt: skip
ON = {
    "film.mp4": "done", "film": "done", "half.mp4": "truncated", "half": "truncated", "sound.mp4": "not-an-image",
    "song.m4a": "skipped", "sound.dat": "skipped", "text.mov": "not-an-image", "a.png": "done",
}  # fmt: skip


class Seen:
    """An encoder whose vectors are the means of pictures, and that keeps these."""

    space, side = SPACE, 1000

    def __init__(self) -> None:
        self.calls: list[list[Image.Image]] = []

    def encode(self, images: Sequence[Image.Image]) -> Floats:
        self.calls.append(list(images))
        vectors = np.zeros((len(images), SPACE.dimension), dtype=np.float32)
        vectors[np.arange(len(images)), np.arange(len(images))] = 1
        return vectors


def outcomes(world: World) -> dict[str, str]:
    found = {}
    for key, record in world.records().items():
        error = record.error
        found[key] = record.state if error is None or record.state == "skipped" else error.code
    return found


@pytest.mark.parametrize("video", [False, True])
def test_in_a_worker(redis_url: str, client: Client, tmp_path: Path, video: bool) -> None:  # noqa: ARG001 -- empties Redis
    settings = Settings(
        redis_url=redis_url, key_prefix="test:", home=tmp_path, inbox=tmp_path, video=video, grace_s=0
    )
    world = World(settings)
    seen = world.wiring.image_encoder = Seen()
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    world.wiring.inbox.append([ObjectEvent("created", "inbox", name) for name in FILES])
    world.settle()
    if video:
        assert outcomes(world) == ON
        assert "truncated" in str(world.records()["half.mp4"].error)
        assert sum(map(len, seen.calls)) == 5
        assert [which(view, FRAMES)[0] for call in seen.calls for view in call if view.size == (160, 96)] == [
            4,
            20,
        ] * 2
    else:
        assert {key: state for key, state in outcomes(world).items() if state != "skipped"} == {"a.png": "done"}
        for name in ("film.mp4", "film", "half.mp4"):
            error = world.records()[name].error
            assert error is not None
            assert "an MP4 video: videos are tagged where WILDTAG_VIDEO=true" in error.reason


def test_in_a_bucket_whatever_its_content_type(redis_url: str, client: Client, bucket: str, s3: S3Store) -> None:  # noqa: ARG001 -- as above
    access_key, secret_key = key_pair(s3.connection.options.endpoint)
    given: dict[str, Any] = {"s3_endpoint": s3.connection.options.endpoint, "s3_access_key": access_key}
    settings = Settings(
        redis_url=redis_url, key_prefix="test:", bucket=bucket, s3_secret_key=secret_key, video=True, **given
    )
    world = World(settings)
    seen = world.wiring.image_encoder = Seen()
    s3.put(bucket, "film.mp4", io.BytesIO(VIDEO), "video/mp4")
    world.wiring.inbox.append([ObjectEvent("created", bucket, "film.mp4")])
    world.settle()
    assert outcomes(world) == {"film.mp4": "done"}
    assert [len(call) for call in seen.calls] == [2]


@pytest.mark.parametrize("video", [False, True])
def test_in_one_process(tmp_path: Path, video: bool) -> None:
    from tasks.pipeline import Pipeline  # noqa: PLC0415 -- only here

    settings = Settings(home=tmp_path, video=video)
    options = pipeline_options(settings, SPACE.thresholds)
    assert options.video is video
    assert not answering(Wiring(settings)).video  # evaluations are of images
    pipeline = Pipeline(MadeUpImages(), MadeUpText(), index_of(), "1", pipeline_options=options)
    path = tmp_path / "film.mp4"
    path.write_bytes(VIDEO)
    (record,) = Tagger(pipeline, 10**6).tag([path], 0.0)
    if video:
        assert record.error is None
        assert record.media == Media(format="MP4 video", width=160, height=96, bytes=len(VIDEO), frames=40)
    else:
        assert record.state == "skipped"
        assert "WILDTAG_VIDEO=true" in str(record.error)


def test_the_vector_is_the_normalised_mean_and_images_stay_as_they_were() -> None:
    from tasks.embedding import embed  # noqa: PLC0415 -- as above
    from tests.unit.stages.made_up import submitted  # noqa: PLC0415 -- as above

    seen = Seen()
    batch, faults = embed(submitted(2), [VIDEO, picture((255, 0, 0))], seen, video=True)
    assert not faults
    first, second = batch.vectors.array()
    assert np.allclose(first[:3], [np.sqrt(0.5), np.sqrt(0.5), 0])
    assert second[2] == 1.0
    assert len(seen.calls) == 1


@pytest.mark.parametrize("video", [False, True])
def test_through_the_gateway(redis_url: str, client: Client, tmp_path: Path, video: bool) -> None:  # noqa: ARG001 -- as above
    transport = made("h264.m2ts")  # is recognised by more than its first bytes
    with running(wired(tmp_path, redis_url, video=video)) as gateway:
        answer = gateway.http.post("/v1/images", content=VIDEO)
        if not video:
            assert problem(answer) == "not-an-image"
            assert "an MP4 video: videos are tagged where WILDTAG_VIDEO=true" in answer.json()["detail"]
            assert problem(gateway.http.post("/v1/images", content=transport)) == "not-an-image"
            return
        assert answer.status_code == 202, answer.text
        assert answer.json()["id"].endswith(".mp4")
        assert gateway.upload(transport)["id"].endswith(".m2ts")
        refused = gateway.http.post("/v1/images", content=b"%PDF-1.7 a document")
        assert "MP4 video" in refused.json()["detail"]
        gateway.put("film.mp4", VIDEO)
        found = gateway.http.get("/v1/thumbnails/inbox/film.mp4")
        assert found.status_code == 200
        thumbnail = Image.open(io.BytesIO(found.content)).convert("RGB")
        assert which(thumbnail, [decode(VIDEO, video=True), FRAMES[20]])[0] == 0


def test_suffixes_agree() -> None:
    assert set(VIDEO_SUFFIXES.values()) <= MEANT
    assert not set(VIDEO_SUFFIXES) & set(SUFFIXES)


PROGRAM = """
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == "av" else PathFinder.find_spec(name, path, target)

sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]
from pathlib import Path
from tasks.images import BadImage, decode, read_formats, recognised
from workers.diagnostics.doctor import examine
from workers.settings.settings import Settings
data = sys.stdin.buffer.read()
try:
    decode(data, video=True)
except BadImage as exc:
    print(exc.code, exc)
print(recognised(data, video=True), "MP4" in read_formats(video=True))
print([check.remedy for check in examine(Settings(home=Path(sys.argv[1]), video=True)) if check.name == "av"])
print([check.remedy for check in examine(Settings(home=Path(sys.argv[1]))) if check.name == "av"])
"""


def test_without_the_package_it_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path], input=VIDEO, capture_output=True, check=True,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    install = "pip install 'wildtag[video]'"
    assert done.stdout.decode().splitlines() == [
        f"unsupported MP4 video: {install}", "None False", str([install]), "[]",
    ]  # fmt: skip
    assert {check.name: check.ok for check in examine(Settings(home=tmp_path, video=True))}["av"]
