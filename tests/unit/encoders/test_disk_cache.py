"""Kept arrays are computed once, and a bad file or folder costs a computation and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tasks.encoders.disk_cache import cached_on_disk
from tasks.encoders.protocols import Floats


class Computation:
    """Counts how often it was made."""

    times = 0

    def __call__(self) -> dict[str, Floats]:
        self.times += 1
        return {"numbers": np.arange(6, dtype=np.float32).reshape(2, 3)}


def test_the_second_time_reads(tmp_path: Path) -> None:
    compute = Computation()
    path = tmp_path / "deep" / "kept.npz"
    first, second = cached_on_disk(path, compute), cached_on_disk(path, compute)
    assert compute.times == 1
    assert np.array_equal(first["numbers"], second["numbers"])
    assert [file.name for file in path.parent.iterdir()] == ["kept.npz"]


def test_a_damaged_file_is_replaced(tmp_path: Path) -> None:
    compute = Computation()
    path = tmp_path / "kept.npz"
    cached_on_disk(path, compute)
    for damaged in (b"", b"half written", path.read_bytes()[:90]):
        path.write_bytes(damaged)
        assert cached_on_disk(path, compute)["numbers"].shape == (2, 3)
    assert compute.times == 4


def test_a_folder_that_cannot_be_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    compute = Computation()
    path = tmp_path / "file" / "kept.npz"
    assert cached_on_disk(path, compute)["numbers"].shape == (2, 3)
    assert cached_on_disk(path, compute)["numbers"].shape == (2, 3)
    assert compute.times == 2
