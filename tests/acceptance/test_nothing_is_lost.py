"""Processes are killed and Redis goes away while images flow: each image still ends with exactly one record."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from PIL import Image

from tests.acceptance.images import drop, photograph
from tests.acceptance.stack import Stack
from tests.eventually import eventually
from workers.supervision.supervisor import read_stack

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]

VICTIMS = [
    "worker-embedding", "worker-retrieval", "worker-extraction", "worker-scoring", "dispatcher", "watcher", "redis",
]  # fmt: skip


def variants(count: int) -> list[bytes]:
    """Different JPEGs of one photograph."""
    cat = Image.open(io.BytesIO(photograph("chelsea.png")))
    made = []
    for i in range(count):
        out = io.BytesIO()
        cat.crop((i, 0, i + 300, 300)).save(out, "JPEG")
        made.append(out.getvalue())
    return made


def kill(stack: Stack, service: str) -> None:
    """SIGKILL a service and everything below it, as the kernel does when memory runs out."""
    info = read_stack(stack.home)
    assert info is not None
    family = psutil.Process(info.pids[service])
    for process in [*family.children(recursive=True), family]:
        os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: pid_of(stack, service) not in {None, family.pid}, 60, stack.said)


def pid_of(stack: Stack, service: str) -> int | None:
    info = read_stack(stack.home)
    return info.pids.get(service) if info else None


def test_every_process_may_be_killed(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack(WILDTAG_DEADLINE_S="8", WILDTAG_BATCH_MAX="4")
    stack.start()
    photographs = variants(20 * len(VICTIMS))
    for round_, victim in enumerate(VICTIMS):
        for i in range(20 * round_, 20 * (round_ + 1)):
            drop(stack.inbox, f"{victim}/{i}.jpg", photographs[i])
        time.sleep(0.4)  # not a wait for anything: it spreads the kills over the images' way
        kill(stack, victim)
    records = stack.settled(len(photographs), patience=240)
    bad = {key: record for key, record in records.items() if record["state"] != "done"}
    assert bad == {}
    assert stack.stop() < 10


def test_a_killed_stack_goes_on_where_it_was(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack(WILDTAG_DEADLINE_S="8")
    info = stack.start()
    for i, data in enumerate(variants(60)):
        drop(stack.inbox, f"{i}.jpg", data)
    eventually(lambda: stack.tally()["in_flight"] > 0, 30, stack.said)
    os.kill(info.supervisor.pid, signal.SIGKILL)
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in info.pids.values()), 15, lambda: str(info))
    stack.start()
    assert all(record["state"] == "done" for record in stack.settled(60, patience=240).values())
    assert stack.stop() < 10


def test_two_stacks_on_one_machine(make_stack: Callable[..., Stack], running: Stack, tmp_path: Path) -> None:
    one, two = running, make_stack("two")
    (tmp_path / "cups.txt").write_text("a cup of coffee\na bowl of soup\n", encoding="utf-8")
    two.wildtag("captions", "import", str(tmp_path / "cups.txt"), "--name", "cups", "--use")  # before it starts
    first, second = read_stack(one.home), two.start()
    assert first is not None
    assert first.addresses["flower"] != second.addresses["flower"]
    drop(one.inbox, "one of two/cat.png", photograph("chelsea.png"))
    drop(two.inbox, "one of two/cup.png", photograph("coffee.png"))
    ones, twos = one.settled(1, under="one of two/"), two.settled(1)
    assert set(ones) == {"one of two/cat.png"}
    assert set(twos) == {"one of two/cup.png"}
    assert ones["one of two/cat.png"]["captions_version"].startswith("starter@")
    assert twos["one of two/cup.png"]["captions_version"].startswith("cups@")
    again = one.wildtag("up", check=False)
    assert again.returncode == 1
    assert "already running" in again.stderr
    assert two.stop() < 10
    assert read_stack(one.home) == first


def test_a_folder_that_comes_back_keeps_its_records(make_stack: Callable[..., Stack], tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    stack = make_stack(WILDTAG_INBOX=str(media))
    stack.start()
    drop(media, "cat.png", photograph("chelsea.png"))
    drop(media, "album/cup.png", photograph("coffee.png"))
    (media / "loop.jpg").symlink_to("loop.jpg")
    drop(media, os.fsdecode(b"caf\xe9.png"), photograph("coffee.png"))
    before = stack.settled(4)
    assert before["loop.jpg"]["state"] == "failed"
    assert before["caf\\xe9.png"]["state"] == "done"

    media.rename(tmp_path / "away")
    time.sleep(5)  # what must not happen has this long to happen
    assert stack.results() == before
    (tmp_path / "away").rename(media)
    drop(media, "new.png", photograph("chelsea.png"))
    after = stack.settled(5)
    assert {key: record for key, record in after.items() if key != "new.png"} == before

    (media / "album").rename(tmp_path / "album")  # a folder moved out takes its records with it
    eventually(lambda: "album/cup.png" not in stack.known(), 30, stack.said)
    (tmp_path / "album").rename(media / "back")
    eventually(lambda: "back/cup.png" in stack.known(), 30, stack.said)
    assert stack.results().keys() >= {"back/cup.png"}
    assert "album/cup.png" not in stack.results()
    assert stack.stop() < 10
