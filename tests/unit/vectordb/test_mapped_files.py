"""Memory of mapped files is given back, and nothing that was written is lost."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

from vectordb.mapped_files import release

SIZE = 8 * 2**20


def resident(file: Path) -> int:
    """Bytes of a mapped file that are in the memory of this process."""
    maps = Path("/proc/self/smaps").read_text()
    found = re.search(rf"{re.escape(str(file))}\n.*?\nRss: +(\d+) kB", maps, re.DOTALL)
    assert found is not None
    return int(found[1]) * 1024


def mapped(file: Path, access: int) -> mmap.mmap:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"\1" * SIZE)
    with file.open("r+b") as opened:
        area = mmap.mmap(opened.fileno(), SIZE, access=access)
    area[: 2**20] = b"\2" * 2**20
    assert sum(area[:: mmap.PAGESIZE]) > 0  # all of it is in memory now
    assert resident(file) == SIZE
    return area


def test_shared_files_of_the_folder_leave_memory_with_their_changes(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    inside, beside = mapped(folder / "a", mmap.ACCESS_WRITE), mapped(tmp_path / "log2", mmap.ACCESS_WRITE)
    private = mapped(folder / "b", mmap.ACCESS_COPY)
    release(folder)
    assert resident(folder / "a") == 0
    assert resident(tmp_path / "log2") == resident(folder / "b") == SIZE
    for area in (inside, beside, private):
        assert area[:2] == b"\2\2"
        assert area[2**20 :] == b"\1" * (SIZE - 2**20)
        area.close()
    assert (folder / "a").read_bytes()[:2] == b"\2\2"


def test_a_folder_that_is_not_mapped_changes_nothing(tmp_path: Path) -> None:
    release(tmp_path / "missing")
