"""What a probe shows: that a worker consumes its queue, also while a service that it needs is away."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from vectordb.errors import Permanent, Transient
from workers.stages.message_overlap import MessageOverlap
from workers.stages.worker import StageWorker


class Away(Transient):
    service = "captions"


def warmed(load: Callable[[], object]) -> list[str]:
    """The heartbeats that a probe of a worker with these models sends."""
    beats: list[str] = []
    world: Any = SimpleNamespace(runner=None, rpc=None, health=SimpleNamespace(beat=beats.append))
    StageWorker(world.runner, world.rpc, world.health, {"retrieval": load}, MessageOverlap()).warm("retrieval")
    return beats


def failing(fault: Exception) -> Callable[[], object]:
    def load() -> object:
        raise fault

    return load


def test_a_worker_whose_service_is_away_is_alive() -> None:
    assert warmed(failing(Away("Qdrant does not answer"))) == ["retrieval"]


@pytest.mark.parametrize("fault", [Permanent("no captions"), Transient("a file is locked")])
def test_a_worker_that_cannot_load_its_models_is_not(fault: Exception) -> None:
    with pytest.raises(type(fault)):
        warmed(failing(fault))
