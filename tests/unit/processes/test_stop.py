"""The event that stops a process, which a signal handler sets in the thread that waits for it."""

from __future__ import annotations

import signal
import threading

import pytest

from workers.processes.loops import Stop, until_stopped


@pytest.mark.timeout(30)
def test_a_signal_stops_it_also_in_the_moment_in_which_waiting_begins() -> None:
    before = [(number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        with until_stopped() as stop:
            with stop._cond:  # as ``wait`` has it
                signal.raise_signal(signal.SIGTERM)
            assert stop.wait(0)
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def test_what_waits_in_another_thread_goes_on_at_once() -> None:
    stop, found = Stop(), list[bool]()
    waiting = threading.Thread(target=lambda: found.append(stop.wait(60)), daemon=True)
    waiting.start()
    stop.set()
    waiting.join(10)
    assert found == [True]
