"""Which ETags of a file mean the same version: copies to coarser file systems, old ETags, and never a change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.stores.folder_versions import FINE_NS, RESOLUTIONS_NS, etag_of, same_version

S = 1_000_000_000
LATE = 4e9  # read long after the file was written


def etag(ns: int, size: int = 7, inode: int | None = None, *, unreadable: bool = False) -> str:
    end = "" if inode is None else f"-{inode:x}"
    return f"{ns:x}-{size:x}{end}{'-unreadable' if unreadable else ''}"


def test_the_etag_is_made_of_time_and_size(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(b"1234567")
    os.utime(file, ns=(0, 1_700_000_000_123_456_789))
    assert etag_of(file.stat()) == etag(1_700_000_000_123_456_789)
    assert etag_of(file.stat(), readable=False) == etag(1_700_000_000_123_456_789, unreadable=True)


@pytest.mark.parametrize("resolution", RESOLUTIONS_NS)
@pytest.mark.parametrize("fine", [1_700_000_001_923_456_789, -300_000_000_123_456_789, 5_000_000_000_500_000_001])
def test_a_copy_on_a_coarser_file_system_is_the_same_version(fine: int, resolution: int) -> None:
    """Rounded down as Linux does, rounded up as Windows does, and copied back from the coarse one."""
    down = fine // resolution * resolution
    for coarse in (down, down + resolution):
        assert same_version(etag(fine), etag(coarse), 6e9)
        assert same_version(etag(coarse), etag(fine), 6e9)


@given(
    written=st.integers(-(2**62), 2**62), later=st.integers(0, 3 * S), delay=st.integers(0, 3 * S),
    resolution=st.sampled_from((1, *RESOLUTIONS_NS)), size=st.integers(0, 9),
)  # fmt: skip
def test_a_change_after_it_was_read_is_never_the_same_version(
    written: int, later: int, delay: int, resolution: int, size: int
) -> None:
    """Whatever the resolution of the file system: unless the file system itself gives both the same time."""
    read = written + delay
    changed = read + later
    before, after = written // resolution * resolution, changed // resolution * resolution
    if before != after:
        # a double holds times of this size to 512 ns
        assert not same_version(etag(before, size), etag(after, size), read / S - 2e-6)


@given(
    resolution=st.sampled_from([ns for ns in RESOLUTIONS_NS if ns >= FINE_NS]), known=st.integers(-(2**31), 2**31),
    away=st.integers(-3, 3).filter(bool), read=st.floats(-1e10, 1e10),
)  # fmt: skip
def test_a_replacement_that_keeps_an_equally_coarse_time_is_another_version(
    resolution: int, known: int, away: int, read: float
) -> None:
    """Whenever it was read: as after ``unzip``, ``scp -p``, or a burst of photographs moved over each other."""
    assert not same_version(etag(known * resolution), etag((known + away) * resolution), read)


@given(
    known=st.integers(-(2**61), 2**61), met=st.integers(-3 * S, 3 * S).filter(bool),
    round_to=st.sampled_from((1, *RESOLUTIONS_NS)),
)  # fmt: skip
def test_only_the_exact_rounding_of_a_finer_time_is_the_same_version(known: int, met: int, round_to: int) -> None:
    """Whatever times a replacement and its original keep."""
    other = (known + met) // round_to * round_to
    if known != other and same_version(etag(known), etag(other), 1e11):
        fine, coarse = sorted((known, other), key=lambda ns: next((r for r in RESOLUTIONS_NS if ns % r == 0), 0))
        assert any(coarse in {fine // r * r, -(-fine // r) * r} for r in RESOLUTIONS_NS)
        assert fine % FINE_NS


@pytest.mark.parametrize(
    ("one", "other"),
    [(0, S), (S, 2 * S), (0, 400_000_000), (0, 1_400_000_000), (3 * S, 3 * S + 10_000_000), (0, 123_000_000)],
)
def test_whole_seconds_and_fractions_of_one_are_no_copies_of_each_other(one: int, other: int) -> None:
    base = 1_700_000_000 * S
    assert not same_version(etag(base + one), etag(base + other), LATE)
    assert not same_version(etag(base + other), etag(base + one), LATE)


def test_sizes_and_permissions_tell_versions_apart() -> None:
    assert not same_version(etag(S, 7), etag(S, 8), LATE)
    assert not same_version(etag(S), etag(S, unreadable=True), LATE)
    assert same_version(etag(S, unreadable=True), etag(S, inode=4, unreadable=True), LATE)


def test_etags_with_an_inode_of_older_versions_are_understood() -> None:
    assert same_version(etag(1_700_000_000_123_456_789, inode=0xABC), etag(1_700_000_000_123_456_789), 0.0)
    assert not same_version(etag(1_700_000_000_123_456_789, inode=0xABC), etag(1_700_000_000_123_456_790), LATE)
    assert not same_version("d41d8cd98f00b204e9800998ecf8427e", etag(S), LATE)
