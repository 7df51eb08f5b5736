"""People teach a running stack, by caption and by example: the archive follows, and follows back."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from io import BytesIO

import pytest
from PIL import Image

from tests.acceptance.images import drop, photograph
from tests.acceptance.stack import Json, Stack
from tests.eventually import eventually

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]

FOLLOWS_S = 60  # until the archive has followed
CAPTION = "cup of espresso, a kind of coffee"
OTHERS = ("rocket.jpg", "motorcycle_left.png", "astronaut.png", "coins.png", "camera.png", "brick.png")


def cropped(name: str, share: float) -> bytes:
    """A photograph without a margin of this share on each side."""
    image = Image.open(BytesIO(photograph(name))).convert("RGB")
    width, height = image.size
    file = BytesIO()
    image.crop((int(width * share), int(height * share), width, height)).save(file, "PNG")
    return file.getvalue()


def fill(stack: Stack) -> None:
    """Two views of a cat, a cup of coffee and other photographs."""
    drop(stack.inbox, "teach/cat.png", photograph("chelsea.png"))
    drop(stack.inbox, "teach/cat again.png", cropped("chelsea.png", 0.04))
    drop(stack.inbox, "teach/cup.png", photograph("coffee.png"))
    for name in OTHERS:
        drop(stack.inbox, f"teach/{name}", photograph(name))
    stack.settled(3 + len(OTHERS), under="teach/")


def labels(stack: Stack, key: str) -> list[str]:
    record = stack.known().get(key)
    return [tag["label"] for tag in record["tags"]] if record else []


def taught(stack: Stack, *arguments: str) -> Json:
    body: Json = json.loads(stack.wildtag("teach", *arguments, "--json").stdout)
    return body


def follows(stack: Stack, key: str, label: str, *, there: bool = True) -> None:
    eventually(lambda: (label in labels(stack, key)) == there, FOLLOWS_S, lambda: f"{stack.known()}\n{stack.said()}")


def evident(stack: Stack, key: str, *, there: bool) -> None:
    """Wait until the caption is, or is not, among the evidence of an image."""

    def holds() -> bool:
        record = stack.known().get(key)
        return record is not None and (CAPTION in [one["caption"] for one in record["evidence"]]) == there

    eventually(holds, FOLLOWS_S, lambda: f"{stack.known()}\n{stack.said()}")


def test_the_archive_follows_captions_and_examples_though_a_worker_is_killed_and_redis_is_lost(
    make_stack: Callable[..., Stack],
) -> None:
    archive = make_stack(WILDTAG_RESCAN_S="2", WILDTAG_GRACE_S="2")
    archive.start()
    fill(archive)
    evident(archive, "teach/cup.png", there=False)
    counted = json.loads(archive.wildtag("captions", "add", CAPTION, "--dry-run", "--json").stdout)
    assert counted["images"] == 1
    archive.wildtag("captions", "add", CAPTION, "--source", "me")
    evident(archive, "teach/cup.png", there=True)
    archive.wildtag("captions", "remove", CAPTION)
    evident(archive, "teach/cup.png", there=False)

    said = taught(archive, "teach/cat.png", "Chelsea")
    assert said["record"]["tags"][0]["label"] == "Chelsea"
    assert [near["key"] for near in said["near"]] == ["teach/cat again.png"], said
    os.kill(archive.process("worker-retrieval"), signal.SIGKILL)
    follows(archive, "teach/cat again.png", "Chelsea")
    shown = archive.wildtag("results", "teach/cat.png", "teach/cat again.png").stdout
    assert "Chelsea (you)" in " ".join(shown.split())
    assert "like" in shown
    assert all("Chelsea" not in labels(archive, f"teach/{name}") for name in (*OTHERS, "cup.png"))

    archive.stop()
    shutil.rmtree(archive.home / "redis")  # the disk of Redis is lost
    archive.start()
    for name in ("cat.png", "cat again.png"):  # the sweep finds the others again, too
        follows(archive, f"teach/{name}", "Chelsea")
    listed = [json.loads(line) for line in archive.wildtag("examples", "list", "--json").stdout.splitlines()]
    assert [(row["key"], row["label"]) for row in listed] == [("teach/cat.png", "Chelsea")]

    taught(archive, "teach/cat.png", "chelsea", "--take-back")
    for name in ("cat.png", "cat again.png"):
        follows(archive, f"teach/{name}", "Chelsea", there=False)
