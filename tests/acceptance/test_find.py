"""Photographs are found by words, by an image and by tags on the real stack, also after its retrieval worker died."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.images import PHOTOGRAPHS, drop, photograph
from tests.acceptance.stack import Stack
from tests.eventually import eventually
from workers.client import Client

pytestmark = pytest.mark.timeout(600)

FOLDER = "finding/"


def found(stack: Stack, *arguments: str) -> list[str]:
    lines = stack.wildtag("find", *arguments, "--prefix", FOLDER, "--json").stdout.splitlines()
    return [json.loads(line)["key"].removeprefix(FOLDER) for line in lines]


def test_photographs_are_found_by_words_by_an_image_and_by_tags(
    make_stack: Callable[..., Stack], tmp_path: Path
) -> None:
    stack = make_stack()
    stack.start()
    for name in PHOTOGRAPHS:
        drop(stack.inbox, FOLDER + name, photograph(name))
    records = stack.settled(len(PHOTOGRAPHS), under=FOLDER)
    eventually(lambda: len(found(stack, "photo")) == len(PHOTOGRAPHS), 60, stack.said)
    assert found(stack, "a cat")[0] == "chelsea.png"
    assert found(stack, "a motorcycle")[0] == "motorcycle_left.png"

    label = records[f"{FOLDER}coffee.png"]["tags"][0]["label"]
    assert found(stack, "--tag", label.upper()) == ["coffee.png"]
    assert "coffee.png" not in found(stack, "photo", "--not-tag", label)

    copy = tmp_path / "copy.png"
    copy.write_bytes(photograph("chelsea.png"))
    assert found(stack, "--like", str(copy))[0] == "chelsea.png"
    others = found(stack, "--like", f"{FOLDER}chelsea.png")
    assert len(others) == len(PHOTOGRAPHS) - 1
    assert "chelsea.png" not in others

    os.kill(stack.process("worker-retrieval"), signal.SIGKILL)
    assert found(stack, "a cat")[0] == "chelsea.png"

    with Client(stack.info().addresses["gateway"]) as client:
        pages = list(client.search("a cat", prefix=FOLDER, page=2))
        assert pages[0].key == f"{FOLDER}chelsea.png"
        assert pages[0].similarity is not None
        assert len({one.key for one in pages}) == len(pages) == len(PHOTOGRAPHS)
        assert next(iter(client.search(image=copy, prefix=FOLDER))).key == f"{FOLDER}chelsea.png"

    table = stack.wildtag("find", "a cat", "--prefix", FOLDER).stdout
    assert "similarity" in table
    nothing = stack.wildtag("find", "a cat", "--prefix", "nowhere/")
    assert "No image was found" in nothing.stderr
    unknown = stack.wildtag("find", "--like", "nothing.png", check=False)
    assert (unknown.returncode, "no record" in unknown.stderr) == (1, True)
