"""The files of a form after the first: what they occupy is limited, and given back."""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.images import one_pixel
from workers.gateway.body_memory import BodyMemory
from workers.gateway.form_files import ALL, IN_MEMORY, FormFiles, FormSpace
from workers.gateway.forms import FileBegins
from workers.gateway.problems import Problem

LARGEST = 2**22
PIECE = 2**16


async def filled(files: FormFiles, *sizes: int) -> None:
    """Send files of these sizes in pieces."""
    for number, size in enumerate(sizes, 2):
        files.begin(FileBegins(number, "a.png"))
        image = one_pixel().ljust(size, bytes([number]))
        for at in range(0, size, PIECE):
            await files.add(image[at : at + PIECE])
    await files.end()


def tried(
    space: FormSpace, memory: BodyMemory, *sizes: int, then: Callable[[FormFiles], Any] = lambda _: None
) -> None:
    """Take files of these sizes, and look at them."""
    with memory.lease("one") as lease, space.files("one", lease, LARGEST, video=False) as files:
        asyncio.run(filled(files, *sizes))
        then(files)


@pytest.mark.parametrize("size", [100, IN_MEMORY - 1, IN_MEMORY, IN_MEMORY + 1, 3 * 2**20 + 17, LARGEST])
def test_a_file_comes_out_as_it_went_in(size: int) -> None:
    space, memory = FormSpace(LARGEST), BodyMemory(LARGEST)

    def same(files: FormFiles) -> None:
        for number, file in enumerate(files.all, 2):
            for _ in range(2):  # it can be read again
                with_all = file.file().read()
                assert with_all == one_pixel().ljust(size, bytes([number]))
            assert (file.size, file.content_type) == (size, "image/png")
        in_memory = sum(len(file.kept) for file in files.all)
        assert in_memory == memory.shares.used < 3 * IN_MEMORY

    tried(space, memory, size, size, then=same)
    assert (space.shares.used, memory.shares.used) == (0, 0)


def test_large_files_are_on_disk_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[Path] = []
    tried(FormSpace(LARGEST), BodyMemory(LARGEST), 2**21, 2**21, then=lambda _: seen.extend(tmp_path.iterdir()))
    assert seen == []


def test_the_disk_is_shared() -> None:
    space, memory = FormSpace(LARGEST), BodyMemory(LARGEST)
    space.shares.take("others", (ALL - 1) * LARGEST)
    with pytest.raises(Problem, match="disk space") as refused:
        tried(space, memory, LARGEST, LARGEST)
    assert (refused.value.status, "Retry-After" in refused.value.headers) == (429, True)
    assert (space.shares.used, memory.shares.used) == ((ALL - 1) * LARGEST, 0)


def test_a_full_disk_is_a_fault_that_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("workers.gateway.form_files._write", full)
    with pytest.raises(Problem, match="No space left") as refused:
        tried(FormSpace(LARGEST), BodyMemory(LARGEST), 2**21)
    assert (refused.value.status, "Retry-After" in refused.value.headers) == (507, True)


def test_a_form_has_a_largest_size() -> None:
    with pytest.raises(Problem, match="send fewer files") as refused:
        tried(FormSpace(LARGEST), BodyMemory(LARGEST), *[LARGEST] * 5)
    assert refused.value.status == 413
