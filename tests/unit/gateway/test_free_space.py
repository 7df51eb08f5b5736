"""A lack of space is noticed before the disk is full, and is over only when there is clearly room again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from workers.gateway.free_space import LEAST_BYTES, LEAST_INODES, FreeSpace, least_free

PLACE = Path("/place")
TB = 10**12


class Disk:
    """A file system whose figures the test sets."""

    def __init__(self) -> None:
        self.whole, self.free, self.inodes, self.free_inodes, self.flags = TB, TB, 10**9, 10**9, 0
        self.now = 0.0

    def ask(self, _: Path) -> os.statvfs_result:
        # block size, fragment size, blocks, free, available, inodes, free, available, flags, longest name
        return os.statvfs_result((
            4096, 1, self.whole, self.free, self.free, self.inodes, *[self.free_inodes] * 2, self.flags, 255,
        ))  # fmt: skip

    def reason(self, space: FreeSpace) -> str | None:
        self.now += 2
        return space.reason()


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def space(disk: Disk) -> FreeSpace:
    return FreeSpace({"uploads": PLACE}, frozenset({"uploads"}), disk.ask, lambda: disk.now)


def test_a_disk_with_room_lacks_nothing(disk: Disk, space: FreeSpace) -> None:
    assert disk.reason(space) is None
    disk.inodes = disk.free_inodes = 0  # a file system without a limit
    assert disk.reason(space) is None


@pytest.mark.parametrize("whole", [TB, 8 * 10**6])
def test_too_few_free_bytes_are_a_lack_until_twice_as_many_are_free(whole: int, disk: Disk, space: FreeSpace) -> None:
    least = min(LEAST_BYTES, int(0.02 * whole))
    disk.whole, disk.free = whole, least
    assert disk.reason(space) is None
    disk.free = least - 1
    assert "uploads (/place): the disk is full" in str(disk.reason(space))
    disk.free = 2 * least - 1
    assert disk.reason(space) is not None
    disk.free = 2 * least
    assert disk.reason(space) is None
    disk.free = least
    assert disk.reason(space) is None


def test_inodes_that_are_used_up_are_a_lack(disk: Disk, space: FreeSpace) -> None:
    disk.free_inodes = LEAST_INODES - 1
    assert "no inodes left" in str(disk.reason(space))
    disk.free_inodes = 2 * LEAST_INODES
    assert disk.reason(space) is None


def test_a_file_system_that_became_read_only_is_a_lack_where_files_are_written(disk: Disk, space: FreeSpace) -> None:
    disk.flags = os.ST_RDONLY
    disk.free = 0
    assert "read-only" in str(disk.reason(space))
    assert disk.reason(FreeSpace({"home": PLACE}, ask=disk.ask)) is None  # as the volumes of a container


def test_it_looks_at_most_once_a_second_and_a_missing_folder_is_left_to_others(disk: Disk) -> None:
    asked = []

    def ask(path: Path) -> os.statvfs_result:
        asked.append(path)
        raise FileNotFoundError

    reason: Callable[[], str | None] = FreeSpace({"uploads": PLACE}, ask=ask, clock=lambda: disk.now).reason
    assert [reason(), reason()] == [None, None]
    assert len(asked) == 1


def test_a_small_file_system_keeps_a_share_free() -> None:
    """As that of a container, whose folder for temporary files may have 64 MB in all."""
    assert least_free(64 * 2**20) < 2 * 2**20
    assert least_free(10**12) == LEAST_BYTES
