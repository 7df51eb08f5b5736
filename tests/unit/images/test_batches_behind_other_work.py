"""A batch of a repair that is behind other work in its queue is not blamed for the time that this takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tasks.message_parts import ObjectRef, Revision
from tasks.messages import Submitted
from workers.images.index_task import PATIENCE_S, QUEUE, Embed, NotIndexed
from workers.images.passes import BUSY_PATIENCE, PENDING, Call
from workers.redis.rpc import RpcTimeout

BATCH = Embed(Submitted(objects=(ObjectRef("b", "a.png", "1"),), revision=Revision("space", "captions@1")))


@dataclass
class Silent:
    """Nothing is answered. Each reading of the heartbeats tells of a message that was begun."""

    now: float = 0.0
    begun: float = 0.0
    lifetime: float = 0.0

    def send(self, *_: Any) -> str:
        self.lifetime = _[-1]
        return "request"

    def take(self, *_: Any) -> None:
        return None

    def beats(self) -> dict[str, float]:
        self.begun += 1
        return {QUEUE: self.begun}


def call(silent: Silent, *idle: bool) -> Call:
    """``idle``: when it is sent, and when its time is over."""
    answers = iter(idle)
    rpc: Any = silent
    return Call(rpc, silent.beats, BATCH, lambda: silent.now, lambda: next(answers))


def test_a_batch_that_was_alone_in_the_queue_is_blamed() -> None:
    silent = Silent()
    alone = call(silent, True, True)
    assert alone.take(0) is PENDING
    silent.now = PATIENCE_S
    assert isinstance(alone.take(0), NotIndexed)


@pytest.mark.parametrize("idle", [(False, True), (True, False)])
def test_a_batch_behind_other_work_is_not(idle: tuple[bool, bool]) -> None:
    silent = Silent()
    behind = call(silent, *idle)
    silent.now = silent.lifetime - 1
    assert behind.take(0) is PENDING
    assert silent.lifetime == PATIENCE_S * (1 if idle[0] else BUSY_PATIENCE)
    silent.now += 1
    with pytest.raises(RpcTimeout, match="other work waits"):
        behind.take(0)
