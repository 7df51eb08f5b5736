"""Shows when the next message of embedding begins, and that each message ends once and keeps its errors to itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery.signals import worker_process_shutdown
from PIL import Image
from structlog.testing import capture_logs

from tasks.encoders.protocols import Floats
from tasks.images import decode_with_media
from tasks.overlap import Ahead
from tasks.pipeline import PipelineOptions
from tests.unit.stages.made_up import MadeUpImages, picture, submitted
from workers.settings.settings import Settings
from workers.stages.message_overlap import MessageOverlap
from workers.stages.unusable import Unusable
from workers.stages.work import Embedding
from workers.stages.worker import StageWorker
from workers.wiring.stages import stage_worker
from workers.wiring.wiring import Wiring

WAIT_S = 60.0


class Message:
    """A message that can be released, ended, or let fail from outside."""

    def __init__(self, overlap: MessageOverlap, error: Exception | None = None) -> None:
        self.begun, self.may_release, self.may_end, self.ended = (threading.Event() for _ in range(4))
        self._overlap = overlap
        self._error = error

    def __call__(self) -> None:
        self.begun.set()
        assert self.may_release.wait(WAIT_S)
        self._overlap.release()
        assert self.may_end.wait(WAIT_S)
        self.ended.set()
        if self._error is not None:
            raise self._error

    def released(self) -> Message:
        self.may_release.set()
        return self


def test_the_next_message_begins_when_the_one_before_is_released_and_its_task_ends_after_that() -> None:
    overlap = MessageOverlap()
    first, second, third = Message(overlap).released(), Message(overlap).released(), Message(overlap)
    with ThreadPoolExecutor(1) as celery:
        celery.submit(overlap.run, first).result(WAIT_S)
        assert not first.ended.is_set()
        task = celery.submit(overlap.run, second)
        assert second.begun.wait(WAIT_S)  # beside the first
        assert not task.done()  # the first one has not ended: a third one may not begin
        first.may_end.set()
        task.result(WAIT_S)
        task = celery.submit(overlap.run, third)
        assert third.begun.wait(WAIT_S)
        second.may_end.set()
        third.may_end.set()
        assert not task.done()  # neither released nor ended
        third.may_release.set()
        task.result(WAIT_S)
        overlap.settle()
    assert third.ended.is_set()


def test_an_error_concerns_its_own_message_only() -> None:
    overlap = MessageOverlap()

    def fails() -> None:
        raise RuntimeError("at once")

    with pytest.raises(RuntimeError, match="at once"):
        overlap.run(fails)
    late, next_one = Message(overlap, RuntimeError("late")).released(), Message(overlap).released()
    overlap.run(late)
    next_one.may_end.set()
    with capture_logs() as logs:
        late.may_end.set()
        overlap.run(next_one)
        overlap.settle()
    assert next_one.ended.is_set()
    assert [str(line["exc_info"]) for line in logs if line["log_level"] == "error"] == ["late"]


def test_a_release_that_belongs_to_no_message_is_nothing() -> None:
    overlap = MessageOverlap()
    overlap.release()

    def twice() -> None:
        overlap.release()
        overlap.release()

    overlap.run(twice)
    overlap.settle()


def made(overlap: MessageOverlap, ran: list[str]) -> StageWorker:
    world: Any = SimpleNamespace(
        runner=SimpleNamespace(run=lambda stage, *_: ran.append(stage)),
        rpc=SimpleNamespace(index=lambda *_: ran.append("index")),
        health=SimpleNamespace(beat=lambda queue: ran.append(f"beat of {queue}")),
    )
    return StageWorker(world.runner, world.rpc, world.health, {"embedding": lambda: None}, overlap)


@pytest.mark.parametrize(
    ("task", "found"),
    [
        (lambda worker: worker.run("scoring", b"", 0, None), "scoring"),
        (lambda worker: worker.serve(lambda rpc: rpc.index, "", b""), "index"),
        (lambda worker: worker.warm("embedding"), "beat of embedding"),
    ],
    ids=["another stage", "a request", "a probe"],
)
def test_other_tasks_wait_for_the_last_message(task: Callable[[StageWorker], None], found: str) -> None:
    overlap, ran = MessageOverlap(), list[str]()
    worker, message = made(overlap, ran), Message(overlap).released()
    with ThreadPoolExecutor(1) as celery:
        celery.submit(overlap.run, message).result(WAIT_S)
        begun = celery.submit(task, worker)
        assert not begun.done()
        assert ran == []
        message.may_end.set()
        begun.result(WAIT_S)
    assert message.ended.is_set()
    assert ran == [found]


def test_a_process_that_ends_waits_for_its_last_message(tmp_path: Path) -> None:
    worker = stage_worker(Wiring(Settings(home=tmp_path, redis_url="redis://127.0.0.1:1/0")))
    message = Message(worker.overlap).released()
    worker.overlap.run(message)
    with ThreadPoolExecutor(1) as celery:
        ending = celery.submit(worker_process_shutdown.send, sender=None, pid=1, exitcode=0)
        assert not ending.done()
        message.may_end.set()
        ending.result(WAIT_S)
    assert message.ended.is_set()


def test_images_of_the_next_message_are_decoded_while_the_last_ones_are_encoded() -> None:
    """The encoder gives no vector of the first message before an image of the second one has been decoded."""
    second_decoded = threading.Event()
    overlap = MessageOverlap()
    kept: list[set[str]] = []
    handed: list[int] = []

    class Waits(MadeUpImages):
        def encode(self, images: Sequence[Image.Image]) -> Floats:
            assert second_decoded.wait(WAIT_S)
            return super().encode(images)

    def decode(data: bytes, **given: Any) -> Any:
        if data == FROM_SECOND:
            second_decoded.set()
        return decode_with_media(data, **given)

    def triage(_: object, data: dict[str, bytes]) -> Unusable:
        kept.append(set(data))
        return Unusable()

    first, second = submitted(3), submitted(1)
    images = {id(first): [picture((9, 9, 9)), b"no image", picture((8, 8, 8))], id(second): [FROM_SECOND]}
    world: Any = SimpleNamespace(
        handover=SimpleNamespace(
            settle=lambda *_: None, hand_on=lambda _, embedded: handed.append(len(embedded.objects))
        ),
        triage=triage,
        fetcher=lambda batch, _: (batch, images[id(batch)], []),
    )
    with ThreadPoolExecutor(2) as decoding, ThreadPoolExecutor(1) as encoding:
        stage = Embedding(
            world.fetcher, decode, Waits(), PipelineOptions(), world.triage,
            world.handover, decoding_s=60.0, overlap=Ahead(decoding, encoding, 8), release=overlap.release,
        )  # fmt: skip
        overlap.run(lambda: stage(first, {}))
        overlap.run(lambda: stage(second, {}))
        overlap.settle()
    assert sorted(handed) == [1, 2]  # each in a thread of its own, so in any order
    assert sorted(kept, key=len) == [set(), {first.objects[1].id}]  # of images that could be read, nothing is kept


FROM_SECOND = picture((200, 3, 3))


def test_batches_of_two_threads_share_the_encoder_one_group_at_a_time() -> None:
    inside = threading.Semaphore(1)

    def encode(value: int) -> int:
        assert inside.acquire(blocking=False), "two groups at a time"
        try:
            return value
        finally:
            inside.release()

    with ThreadPoolExecutor(2) as decoding, ThreadPoolExecutor(1) as encoding, ThreadPoolExecutor(2) as batches:
        shared: Any = Ahead(decoding, encoding, 4)

        def batch(number: int) -> list[int]:
            begun = [shared.encoded(partial(encode, at)) for at in range(number, 40, 2)]
            return [vectors() for vectors in begun]

        assert list(batches.map(batch, [0, 1])) == [list(range(0, 40, 2)), list(range(1, 40, 2))]
