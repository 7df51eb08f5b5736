"""Advances verifications of the index of images: sends their requests to the workers, and takes the answers.

An answer that does not come is asked for again, except that of a batch: a batch that a worker has begun and not
answered may have killed it, and is blamed. While other work waits, a batch without an answer may still be behind it:
then nothing is blamed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from vectordb.decoders import from_msgpack
from vectordb.images import ImageFact
from workers.images import image_requests, index_task
from workers.images.index_task import Embed, Indexed, NotIndexed
from workers.images.remote_images import OWNER
from workers.images.verifier import Asked, Verification, WhenIdle
from workers.redis.rpc import RETRY_S, RpcClient, RpcFailed, RpcPermanent, RpcTimeout, RpcTransient

PATIENCE_S = 60.0
BUSY_SHARE = 0.2  # of the time, while other work is never done, is spent on batches
BUSY_PAUSE_S = 2.0  # at least, between two batches then
BUSY_PATIENCE = 5  # times as long an answer is waited for then: the batch is behind the other work in the queue
_ANSWERS: Mapping[type, Any] = {
    image_requests.Facts: list[ImageFact], image_requests.FactsAfter: list[ImageFact], Embed: Indexed,
    image_requests.RemoveVersions: None, image_requests.Label: None,
}  # fmt: skip
PENDING: Final = object()


class Call:
    """One request on its way."""

    def __init__(
        self,
        rpc: RpcClient,
        beats: Callable[[], Mapping[str, float]],
        asked: image_requests.Request | Embed,
        clock: Callable[[], float],
        idle: Callable[[], bool],
    ) -> None:
        """``beats``: heartbeats, in Unix seconds. ``clock``: seconds that only grow. ``idle``: as of ``Pass``."""
        self._rpc = rpc
        self._beats = beats
        self._asked = asked
        self._clock = clock
        self._idle = idle
        self._busy = isinstance(asked, Embed) and not idle()
        patience = index_task.PATIENCE_S * (BUSY_PATIENCE if self._busy else 1)
        self._until = self._clock() + (patience if isinstance(asked, Embed) else PATIENCE_S)
        self._beaten = beats().get(index_task.QUEUE) if isinstance(asked, Embed) else None
        self._send()

    def take(self, patience_s: float) -> Any:
        """The answer; ``PENDING`` if there is none yet. Raises ``RpcTimeout``, ``RpcTransient``, ``RpcPermanent``.

        A batch that failed, though no service is away, is answered by ``NotIndexed``: its images are tried alone.
        """
        batch = isinstance(self._asked, Embed)
        try:
            data = self._rpc.take(self._request, patience_s)
        except (RpcPermanent, RpcFailed, RpcTransient) as exc:
            if batch and getattr(exc, "service", None) is None:
                return NotIndexed(str(exc))
            raise
        if data is not None:
            return from_msgpack(data, _ANSWERS[type(self._asked)])
        now = self._clock()
        if now >= self._until:
            if batch and (self._busy or not self._idle()):  # that of other work shows in the heartbeats, too
                raise RpcTimeout(f"no response from the queue {index_task.QUEUE}, in which other work waits")
            if batch and self._beats().get(index_task.QUEUE) != self._beaten:
                return NotIndexed("a worker began to embed it and has not answered: it may have ended meanwhile")
            queue = index_task.QUEUE if batch else OWNER
            raise RpcTimeout(f"no response from the queue {queue}; see the log of its worker")
        if not batch and now >= self._again:
            self._send()
        return PENDING

    def _send(self) -> None:
        left, self._again = self._until - self._clock(), self._clock() + RETRY_S
        data, name = msgspec.msgpack.encode(self._asked), type(self._asked).__name__.lower()
        queue, task = OWNER, image_requests.TASK
        if isinstance(self._asked, Embed):
            queue, task = index_task.QUEUE, index_task.TASK
        self._request = self._rpc.send(queue, task, data, f"images {name}", left)


class Pass:
    """One verification on its way. ``idle``: whether no other work waits.

    Batches are embedded while no other work waits. Where there always is some, they get a small share of the time, or
    else the index would never be complete.
    """

    def __init__(
        self,
        verification: Verification,
        rpc: RpcClient,
        beats: Callable[[], Mapping[str, float]],
        idle: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._verification = verification
        self._rpc = rpc
        self._beats = beats
        self._idle = idle
        self._clock = clock
        self._asked: Asked | None = None
        self._call: Call | None = None
        self._begun = self._ended = clock()  # of the last batch
        self.finished = False

    @property
    def waits(self) -> bool:
        """Whether it waits until no other work does, or for its turn."""
        return isinstance(self._asked, WhenIdle)

    def advance(self, patience_s: float) -> bool:
        """Make one step, waiting for an answer for at most ``patience_s`` seconds. Returns whether there is progress.

        Raises ``Transient`` errors and ``RpcPermanent``, after which the pass is over.
        """
        answer: Any = None
        if self._call is not None:
            answer = self._call.take(patience_s)
            if answer is PENDING:
                return False
            if isinstance(self._asked, Embed):
                self._ended = self._clock()
        elif self.waits and not self._idle() and not self._turn():
            return False
        self._call = None
        try:
            self._asked = self._verification.send(answer)
        except StopIteration:
            self.finished = True
            return True
        if not isinstance(self._asked, WhenIdle):
            self._call = Call(self._rpc, self._beats, self._asked, self._clock, self._idle)
            if isinstance(self._asked, Embed):
                self._begun = self._clock()
        return True

    def _turn(self) -> bool:
        """Whether a batch may be embedded though other work waits."""
        pause = max(BUSY_PAUSE_S, (self._ended - self._begun) * (1 / BUSY_SHARE - 1))
        return self._clock() >= self._ended + pause
