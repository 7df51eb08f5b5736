"""Processes that decode, with the memory that a gateway in a container gives them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from workers.decoding.decoders import Decoders
from workers.decoding.spawner import Spawner

MEMORY = 209_715_200  # bytes, as in docker-compose.yml
LIMIT_S = 10.0


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    made = Decoders(Spawner(MEMORY), 2, LIMIT_S)
    yield made
    made.close()
