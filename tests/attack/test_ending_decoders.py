"""A decoder that crashes, hangs or takes too long costs one image. No other waits or is blamed."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import psutil
import pytest

from tasks.images import BadImage
from tests.attack import evil_images as evil
from tests.attack.conftest import MEMORY
from tests.eventually import eventually
from workers.decoding.decoders import WALL, Decoders
from workers.decoding.spawner import Spawner
from workers.lifecycle.policy import Split, after_error
from workers.settings.settings import Settings
from workers.stages.slow_images import DECODING, SlowInBatch, splitting
from workers.wiring.models import decoders as decoders_of

PIXELS = 150_000_000
GOOD = evil.encoded(evil.noise(64, 48), "PNG")
SLOW = evil.empty_runs(6000, 6000)  # within the limits; takes seconds


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    made = Decoders(Spawner(2**30), 2, 30.0)
    yield made
    made.close()


@pytest.fixture
def impatient() -> Iterator[Decoders]:
    made = Decoders(Spawner(2**30), 2, 0.5)
    yield made
    made.close()


def code(decoders: Decoders, data: bytes) -> str:
    try:
        decoders(data, max_pixels=PIXELS)
    except BadImage as exc:
        return exc.code
    return "done"


def child(decoders: Decoders) -> int:
    """The process that is idle."""
    (worker,) = decoders._idle
    return worker.child.pid


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_an_image_that_takes_too_long_is_ended_and_others_are_read_meanwhile(impatient: Decoders) -> None:
    found: list[str] = []
    thread = in_thread(lambda: found.append(code(impatient, SLOW)))
    read = 0
    while thread.is_alive():
        assert code(impatient, GOOD) == "done"
        read += bool(thread.is_alive())
    thread.join()
    assert found == ["too-slow"]
    assert read > 1


def test_a_decoder_that_waits_for_something_is_ended(impatient: Decoders) -> None:
    impatient.warm()
    os.kill(child(impatient), signal.SIGSTOP)
    assert code(impatient, GOOD) == "too-slow"
    assert code(impatient, GOOD) == "done"


def test_an_order_whose_wait_is_interrupted_is_not_answered_later() -> None:
    """A late answer would be taken for that of the next order: another process would be timed, and killed."""

    class Interrupted(Spawner):
        left = 1

        def _answer(self, control: socket.socket) -> int:  # type: ignore[override]  # a static method otherwise
            self.left -= 1
            if self.left >= 0:
                raise KeyboardInterrupt
            return super()._answer(control)

    spawner = Interrupted(2**30)
    try:
        with pytest.raises(KeyboardInterrupt):
            spawner.child()
        for _ in range(2):
            child = spawner.child()
            os.kill(child.pid, signal.SIGKILL)
            child.connection.settimeout(10)
            assert child.connection.recv(1) == b"", "it is the process at the other end of this connection"
            spawner.end(child)
    finally:
        spawner.close()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_an_image_is_not_blamed_for_the_crash_of_a_process_that_read_others(
    decoders: Decoders, number: signal.Signals
) -> None:
    assert code(decoders, GOOD) == "done"
    before = child(decoders)
    os.kill(before, number)
    assert code(decoders, GOOD) == "done"
    assert child(decoders) != before


@pytest.mark.parametrize(
    ("number", "expected"), [(signal.SIGSEGV, "decoder-crashed"), (signal.SIGKILL, "too-much-memory")]
)
def test_an_image_at_which_a_new_process_crashes_fails_with_a_reason(
    decoders: Decoders, number: signal.Signals, expected: str
) -> None:
    found: list[str] = []
    decoders.warm()
    pid = child(decoders)
    thread = in_thread(lambda: found.append(code(decoders, SLOW)))
    eventually(lambda: psutil.Process(pid).cpu_times().user > 0.2, 20)
    os.kill(pid, number)
    thread.join()
    assert found == [expected]
    assert code(decoders, GOOD) == "done"


def test_the_fork_server_is_replaced_as_well(decoders: Decoders) -> None:
    assert code(decoders, GOOD) == "done"
    process = decoders._spawner._process
    assert process is not None
    process.kill()
    process.wait()
    assert code(decoders, GOOD) == "done"


def test_nothing_is_left_when_the_pool_is_closed() -> None:
    decoders = Decoders(Spawner(2**28), 2, 1.0)
    decoders.warm()
    pid = child(decoders)
    decoders.close()
    eventually(lambda: not psutil.pid_exists(pid), 10)


def test_a_slow_image_of_a_batch_is_sent_again_alone(impatient: Decoders) -> None:
    with pytest.raises(SlowInBatch) as caught:
        splitting(impatient, 60.0)(SLOW, max_pixels=PIXELS)
    assert isinstance(after_error(caught.value, 3, 0), Split)


@pytest.mark.long
def test_images_of_a_batch_that_together_take_too_long_are_sent_again_alone(decoders: Decoders) -> None:
    decode = splitting(decoders, 0.5)
    decode(SLOW, max_pixels=PIXELS)  # within its own limit
    with pytest.raises(SlowInBatch, match="batch") as caught:
        decode(GOOD, max_pixels=PIXELS)
    assert isinstance(after_error(caught.value, 3, 0), Split)
    splitting(decoders, 0.5)(GOOD, max_pixels=PIXELS)  # another batch has all of its time


def test_a_batch_has_time_left_when_the_budget_for_decoding_ends() -> None:
    """The last image may begin just before, and may take three times its limit."""
    settings = Settings()
    longest = settings.decode_limit_s * WALL
    assert DECODING * settings.task_time_limit_s + longest < 0.6 * settings.task_time_limit_s


@pytest.mark.parametrize(("memory", "slow"), [(MEMORY, 1), (Settings().decode_memory_bytes, 2)])
def test_with_little_memory_one_slow_image_is_decoded_at_a_time(memory: int, slow: int) -> None:
    made = decoders_of(Settings(decode_memory_bytes=memory))
    try:
        assert made._slow._value == slow
        assert made._quick._value == 2
    finally:
        made.close()
