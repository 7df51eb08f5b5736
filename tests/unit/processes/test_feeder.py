"""What the feeder of an encoder that prepares says of its progress."""

from __future__ import annotations

from workers.processes.feeder import Progress


def test_the_rate_is_that_of_the_last_seconds() -> None:
    progress = Progress()
    for second in range(0, 62, 2):
        progress.add(float(second), 3 * second if second <= 40 else 120, waiting=second <= 40)
    assert (progress.rate, progress.fault) == (0.0, "")  # all is prepared
    progress = Progress()
    for second in range(0, 42, 2):
        progress.add(float(second), 3 * second, waiting=True)
    assert progress.rate == 3.0


def test_it_says_when_nothing_is_prepared_although_images_wait() -> None:
    progress = Progress()
    progress.add(1000.0, 5, waiting=False)
    progress.add(1050.0, 5, waiting=True)
    assert progress.fault == ""
    progress.add(1060.0, 5, waiting=True)
    assert "do next-worker and next-dispatcher run?" in progress.fault
    progress.add(1061.0, 6, waiting=True)
    assert progress.fault == ""
