"""What is kept of images without a thumbnail: the reason, not the bytes."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tests.attack import evil_images as evil
from tests.attack.conftest import LIMIT_S, MEMORY
from tests.eventually import eventually
from workers.decoding.decoders import Decoders
from workers.decoding.spawner import Spawner
from workers.gateway.problems import Problem
from workers.gateway.thumbnails import Thumbnails


class Bytes(bytearray):
    """Bytes of an object that the garbage collector knows."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.itself = self  # so that it is collected, not only counted


@dataclass
class Store:
    """A store that holds damaged images."""

    def get(self, *_: object) -> tuple[Bytes, None]:
        return Bytes(b"\xff\xd8\xff\xe0" + bytes(1000)), None


@pytest.fixture
def thumbnails() -> Iterator[Thumbnails]:
    decoders = Decoders(Spawner(MEMORY), 1, LIMIT_S)
    options: Any = SimpleNamespace(max_object_bytes=2**20, max_pixels=10**6, video=False)
    store: Any = Store()
    yield Thumbnails(store, decoders, options)
    decoders.close()


@pytest.mark.long
def test_a_lack_of_memory_is_not_remembered() -> None:
    """The system may end a decoder because others take its memory."""
    data = evil.empty_runs(6000, 6000)
    store: Any = SimpleNamespace(get=lambda *_: (data, None))
    options: Any = SimpleNamespace(max_object_bytes=2**20, max_pixels=10**8, video=False)
    decoders = Decoders(Spawner(2**30), 1, 60.0)
    thumbnails = Thumbnails(store, decoders, options)
    found: list[str] = []

    def ask() -> None:
        try:
            thumbnails.of("inbox", "a.bmp", "1", 160)
        except Problem as exc:
            found.append(exc.detail)

    try:
        decoders.warm()
        (worker,) = decoders._idle
        thread = threading.Thread(target=ask)
        thread.start()
        eventually(lambda: psutil.Process(worker.child.pid).cpu_times().user > 0.2, 20)
        psutil.Process(worker.child.pid).kill()
        thread.join()
        assert len(found) == 1
        assert "memory" in found[0]
        assert thumbnails.of("inbox", "a.bmp", "1", 160).startswith(b"RIFF")
    finally:
        decoders.close()


def test_damaged_images_are_not_kept_in_memory(thumbnails: Thumbnails) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg", "a.jpg"):
        with pytest.raises(Problem, match="truncated"):
            thumbnails.of("inbox", name, "1", 160)
    gc.collect()
    assert not [one for one in gc.get_objects() if isinstance(one, Bytes)]
