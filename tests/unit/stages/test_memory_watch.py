"""When a process of a worker is replaced or ended for the memory that it takes."""

from __future__ import annotations

from pathlib import Path

from vectordb.memory import total_memory
from workers.stages.memory_watch import MemoryWatch, resident

GIB = 1 << 30


class Process:
    def __init__(self, limit: int | None = None) -> None:
        self.taken, self.free, self.killed = GIB, 8 * GIB, 0
        self.watch = MemoryWatch(
            limit, taken=lambda: self.taken, total=lambda: 10 * GIB, available=lambda: self.free, kill=self.kill
        )
        assert not self.watch.replace(), "after its first message"

    def kill(self) -> None:
        self.killed += 1


def test_a_process_that_grows_is_replaced_after_its_message() -> None:
    process = Process()
    for gib, replaced in ((2, False), (5, False), (7, True)):
        process.taken = gib * GIB
        assert process.watch.replace() == replaced
    assert not process.watch.look(None)


def test_it_is_replaced_earlier_where_the_machine_is_short_of_memory() -> None:
    process = Process()
    process.taken, process.free = 4 * GIB, GIB // 2
    assert process.watch.replace()


def test_a_limit_below_what_the_models_take_replaces_only_what_grows() -> None:
    process = Process(GIB // 2)
    assert not process.watch.replace()
    assert not process.watch.look(None)
    process.taken = int(1.3 * GIB)
    assert process.watch.replace()


def test_what_grows_within_a_message_is_ended_and_says_why(tmp_path: Path) -> None:
    process = Process(2 * GIB)
    process.taken = 4 * GIB
    assert process.watch.look(tmp_path / "ended")
    assert process.killed == 1
    assert (tmp_path / "ended").read_text() == "was ended since it took 4,096 MiB of memory, more than 3,072 MiB"
    process.taken = GIB
    assert process.watch.look(None, lambda: "was ended since embedding took longer than 4 s")
    assert process.killed == 2


def test_the_memory_of_a_container_counts_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal:       16777216 kB\nMemAvailable:    8388608 kB\n")
    assert total_memory(tmp_path) == 16 * GIB
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/memory.max").write_text("max\n")
    assert total_memory(tmp_path) == 16 * GIB
    (tmp_path / "sys/fs/cgroup/memory.max").write_text(f"{3 * GIB}\n")
    assert total_memory(tmp_path) == 3 * GIB
    assert 0 < resident() < total_memory()
