"""A world in which objects are segmented."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.segmenting_world import World
from workers.redis.connection import Client
from workers.settings.settings import Settings


@pytest.fixture
def make(redis_url: str, client: Client, tmp_path: Path) -> Callable[..., World]:  # noqa: ARG001 -- empties Redis
    (tmp_path / "inbox").mkdir()

    def made(**settings: object) -> World:
        given = {
            "redis_url": redis_url, "key_prefix": "test:", "home": tmp_path, "segment_grids": (2, 4),
            "qdrant_url": "http://127.0.0.1:1", "segment_map": 8, "segmenting_max": 2, **settings,
        }  # fmt: skip
        return World(Settings(**given))  # type: ignore[arg-type]  # a test names what it gives

    return made


@pytest.fixture
def world(make: Callable[..., World]) -> World:
    return make(segment_prefixes=("drawn/=dense", "drawn/not/=regions"))
