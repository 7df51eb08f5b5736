"""A world with an index of images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.images.images_world import ImagesWorld
from workers.redis.connection import Client
from workers.settings.settings import Settings


@pytest.fixture
def world(redis_url: str, client: Client, tmp_path: Path) -> Iterator[ImagesWorld]:  # noqa: ARG001 -- empties Redis
    (tmp_path / "inbox").mkdir()
    made = ImagesWorld(Settings(redis_url=redis_url, key_prefix="test:", home=tmp_path))
    yield made
    made.wiring.images.close()
