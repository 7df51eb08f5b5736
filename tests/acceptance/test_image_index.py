"""The index of images of a running stack recovers from kills and damage, and the repair tells nobody of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.images import drop
from tests.acceptance.stack import Stack
from tests.acceptance.test_nothing_is_lost import kill, variants
from tests.eventually import eventually
from vectordb.image_folder import FolderImages
from vectordb.images import ImageEntry

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]


def verified(stack: Stack, *options: str) -> dict[str, Any]:
    """What ``wildtag images verify`` says."""
    said = stack.wildtag("images", "verify", "--json", *options, check=False)
    assert said.returncode in {0, 1}, said.stderr
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def test_kills_and_damage_are_found_and_repaired(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack(WILDTAG_DEADLINE_S="8", WILDTAG_BATCH_MAX="4", WILDTAG_IMAGES_VERIFY_S="100000")
    stack.start()
    for n, data in enumerate(variants(24)):
        drop(stack.inbox, f"{n}.jpg", data)
    eventually(lambda: len(stack.known()) >= 6, 120, stack.said)
    kill(stack, "worker-retrieval")
    records = stack.settled(24, patience=240)
    assert {record["state"] for record in records.values()} == {"done"}
    eventually(lambda: verified(stack)["records"] == 24, 60, stack.said)
    verified(stack, "--repair")
    assert stack.wildtag("images", "verify").stdout.splitlines()[0] == "Images in the index: 24 of 24"

    told = stack.feed_end()
    damage(stack, "0.jpg")
    expected = {"missing": 1, "outdated": 1, "mislabelled": 0, "orphaned": 1}
    eventually(lambda: standing(stack)["faults"] == expected, 60, stack.said)  # the dispatcher's first comparison
    eventually(lambda: verified(stack)["left"] == 0, 60, stack.said)

    kill(stack, "worker-retrieval")
    shutil.rmtree(images_of(stack))  # the new worker has opened it, or has not
    assert stack.wildtag("images", "verify", check=False).returncode == 1
    assert verified(stack, "--repair")["repaired"] == {**dict.fromkeys(expected, 0), "missing": 24}
    assert verified(stack)["faults"] == dict.fromkeys(expected, 0)
    assert stack.feed_end() == told
    assert stack.results() == records
    assert stack.stop() < 10


def standing(stack: Stack) -> dict[str, Any]:
    """What ``wildtag status`` says of the last comparison."""
    found: dict[str, Any] = json.loads(stack.wildtag("status", "--json").stdout)["image_index"]
    return found or {"faults": {}, "indexed": 0}


def images_of(stack: Stack) -> Path:
    """The folder of its index."""
    (found,) = (stack.home / "images").glob("*/images")
    return found


def damage(stack: Stack, key: str) -> None:
    """While the owner is stopped: a wrong ETag, one image less, and one too many."""
    stack.stop()
    folder = images_of(stack)
    dimension = json.loads((folder / "index.json").read_text())["dimension"]
    index = FolderImages(stack.home / "images").open(folder.parent.name, dimension)
    ((entries, vectors),) = index.pages()
    at = next(n for n, entry in enumerate(entries) if entry.key == key)
    other = next(n for n, entry in enumerate(entries) if entry.key != key)
    index.put([ImageEntry("inbox", key, "wrong"), ImageEntry("inbox", "never there.jpg", "e")], vectors[[at, other]])
    index.remove([entries[other].id])
    index.close()
    stack.start()


def test_a_home_without_an_index_is_filled_by_itself(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack(WILDTAG_IMAGES_VERIFY_S="2")
    stack.start()
    for n, data in enumerate(variants(12)):
        drop(stack.inbox, f"{n}.jpg", data)
    before = stack.settled(12)
    stack.stop()
    shutil.rmtree(images_of(stack))
    stack.start()

    eventually(lambda: standing(stack)["indexed"] == 12, 120, stack.said)
    assert "image index is filled" in (stack.home / "logs" / "dispatcher.log").read_text()
    assert "images in the index" in stack.wildtag("status").stdout
    assert json.loads(stack.wildtag("images", "stats", "--json").stdout)["images"] == 12
    assert stack.results() == before
    rebuilt = json.loads(stack.wildtag("images", "rebuild", "--yes", "--json").stdout)
    assert (rebuilt["indexed"], rebuilt["left"]) == (12, 0)
    assert stack.stop() < 10


def test_an_index_that_is_deleted_under_a_running_stack_is_named_and_filled_again(
    make_stack: Callable[..., Stack],
) -> None:
    stack = make_stack()  # the index is compared once an hour
    stack.start()
    for n, data in enumerate(variants(12)):
        drop(stack.inbox, f"{n}.jpg", data)
    stack.settled(12)
    assert "can be found" not in stack.wildtag("find", "cat").stderr
    shutil.rmtree(stack.home / "images")
    said = stack.wildtag("find", "cat")
    assert "of 12 images can be found: the index of images is incomplete" in said.stderr, said.stderr

    def complete() -> bool:
        found = stack.wildtag("find", "a photo", "--json")
        return "can be found" not in found.stderr and len(found.stdout.splitlines()) == 12

    eventually(complete, 120, stack.said, every_s=2)
    assert stack.stop() < 10
