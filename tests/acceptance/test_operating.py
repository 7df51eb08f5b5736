"""What the person on call sees: a worker that stops is critical in ``status --check``, a bad file is listed with its
reason and tagged again, and a file that kills its worker becomes a dead letter, is replayed and acknowledged.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest

from tests.acceptance.images import photograph
from tests.acceptance.stack import Stack
from tests.eventually import eventually

ROOMY = ("--warning-disk", "0", "--critical-disk", "0")  # the disk of the test machine is not what is tested


@contextmanager
def suspended(stack: Stack, service: str) -> Iterator[None]:
    """The processes of a service stand still."""
    parent = psutil.Process(stack.process(service))
    family = [parent, *parent.children(recursive=True)]
    for process in family:
        process.suspend()
    try:
        yield
    finally:
        for process in family:
            process.resume()


def check(stack: Stack, *limits: str) -> tuple[int, str]:
    done = stack.wildtag("status", "--check", *ROOMY, *limits, check=False)
    return done.returncode, done.stdout


def test_a_worker_that_stops_and_a_bad_file_are_seen_and_mended(running: Stack) -> None:
    photo, bad = running.inbox / "operating" / "cat.png", running.inbox / "operating" / "bad.jpg"
    photo.parent.mkdir()
    with suspended(running, "worker-scoring"):
        photo.write_bytes(photograph("chelsea.png"))
        limits = "--critical-oldest", "0.001", "--warning-oldest", "0"
        seen = "objects in scoring, the oldest since"
        eventually(lambda: seen in check(running, *limits)[1], 60, running.said, every_s=0.2)
        assert check(running, *limits)[0] == 2
    bad.write_bytes(b"no image" * 100)
    records = running.settled(2, under="operating/")
    assert records["operating/bad.jpg"]["error"]["code"] == "not-an-image"
    code, said = check(running)
    assert code in {0, 1}, said  # other tests may have left what is a warning
    assert "in scoring" not in said
    listed = running.wildtag("dead", "list", "--state", "failed", "--prefix", "operating/", "--json").stdout
    assert [json.loads(line)["key"] for line in listed.splitlines()] == ["operating/bad.jpg"]
    before = records["operating/bad.jpg"]["finished_at"]
    running.wildtag("dead", "replay", "--state", "failed", "operating/bad.jpg")
    eventually(lambda: running.known()["operating/bad.jpg"]["finished_at"] > before, 60, running.said)
    bad.unlink()  # the photograph stays: the removal of all that there is would be held
    running.settled(1, under="operating/")


@pytest.mark.long
def test_a_file_that_kills_its_worker_is_given_up_replayed_and_acknowledged(
    make_stack: Callable[..., Stack],
) -> None:
    stack = make_stack(WILDTAG_DEADLINE_S="4", WILDTAG_MAX_ATTEMPTS="2")
    stack.start()
    poison = stack.inbox / "poison.png"
    killed = 0

    def killed_until_dead() -> bool:
        """As a file would that crashes the library that reads it: whenever its worker has begun, that is killed.

        Once for each attempt: a worker that cannot even start is not the object's fault, and the keeper then waits.
        """
        nonlocal killed
        begun = max((one.attempts for one in stack.pending() if one.stage == "embedding"), default=0)
        if begun > killed:
            killed = begun
            for child in psutil.Process(stack.process("worker-embedding")).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    child.send_signal(signal.SIGKILL)
        return stack.tally()["dead"] == 1

    with suspended(stack, "worker-embedding"):
        poison.write_bytes(photograph("chelsea.png"))
        eventually(lambda: stack.tally()["in_flight"], 30, stack.said)
    eventually(killed_until_dead, 120, stack.said, every_s=0.005)
    (found,) = (json.loads(line) for line in stack.wildtag("dead", "list", "--json").stdout.splitlines())
    assert (found["key"], found["error"]["code"]) == ("poison.png", "poisonous")
    assert "the last in" in stack.wildtag("dead", "show", "poison.png").stdout.replace("\n", " ")
    code, said = check(stack)
    assert (code, "1 dead" in said) == (1, True), said
    stack.wildtag("dead", "drop", "poison.png")
    assert check(stack)[0] == 0
    stack.wildtag("dead", "replay", "poison.png")
    eventually(lambda: stack.known()["poison.png"]["state"] == "done", 60, stack.said)
    assert stack.tally()["acknowledged"] == 0
