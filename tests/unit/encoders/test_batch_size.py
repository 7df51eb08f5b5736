"""Shows that batches that do not fit are halved and that this is remembered, and how the fastest size is measured."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from tasks.encoders.batch_size import BatchSize, DeviceMemory, batch_size, fastest
from tasks.encoders.devices import Device, DeviceFailed, DeviceOutOfMemory, placed


@dataclass
class MadeUpDevice:
    """Computes one row a second, plus ``overhead`` seconds a batch. A batch above ``limit`` does not fit.

    A row takes ``row`` bytes of ``room``.
    """

    limit: int = 10_000
    overhead: float = 10.0
    room: int | None = None
    row: int = 1
    now: float = 0.0
    released: int = 0
    sizes: list[int] = field(default_factory=list)

    def run(self, size: int) -> None:
        self.sizes.append(size)
        if size > self.limit:
            raise torch.OutOfMemoryError(f"CUDA out of memory for {size}")
        self.now += (self.overhead + size) / 1000

    def free(self) -> int | None:
        return self.room

    def peak(self, call: Callable[[], object]) -> int:
        call()
        return self.row * self.sizes[-1]

    def release(self) -> None:
        self.released += 1

    def fastest(self) -> int:
        return fastest(self.run, self, clock=lambda: self.now)


@pytest.mark.long
def test_a_batch_that_does_not_fit_is_computed_in_halves_and_the_size_stays() -> None:
    device = MadeUpDevice(limit=3)
    batch = BatchSize(16, device)

    def compute(part: slice) -> list[int]:
        device.run(part.stop - part.start)
        return list(range(20)[part])

    made = [number for part in batch.parts(20, compute) for number in part]
    assert made == list(range(20))
    assert (batch.size, device.sizes) == (2, [16, 8, 4, *[2] * 10])
    assert device.released == 3
    device.sizes.clear()
    list(batch.parts(4, compute))
    assert device.sizes == [2, 2]


def test_a_short_batch_that_does_not_fit_is_halved_from_its_own_length() -> None:
    device = MadeUpDevice(limit=2)
    batch = BatchSize(64, device)
    list(batch.parts(5, lambda part: device.run(part.stop - part.start)))
    assert (batch.size, device.sizes) == (2, [5, 2, 2, 1])


def test_a_row_that_does_not_fit_is_an_error_that_passes() -> None:
    device = MadeUpDevice(limit=0)
    with pytest.raises(DeviceOutOfMemory, match="not even one row fits: CUDA out of memory"):
        list(BatchSize(4, device).parts(2, lambda part: device.run(part.stop - part.start)))


def test_another_error_is_not_taken_for_a_lack_of_memory() -> None:
    def compute(_: slice) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    batch = BatchSize(4, MadeUpDevice())
    with pytest.raises(RuntimeError, match="shapes"):
        list(batch.parts(2, compute))
    assert batch.size == 4


def test_what_a_failed_batch_held_is_free_before_it_is_tried_again() -> None:
    class Held:
        pass

    seen: list[weakref.ref[Held]] = []
    alive: list[bool] = []

    class Memory(MadeUpDevice):
        def release(self) -> None:
            alive.append(seen[-1]() is not None)

    def compute(part: slice) -> None:
        held = Held()
        seen.append(weakref.ref(held))
        if part.stop - part.start > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")

    list(BatchSize(2, Memory()).parts(2, compute))
    assert alive == [False]


def test_the_smallest_of_the_fast_sizes_is_taken() -> None:
    device = MadeUpDevice(overhead=10)
    assert device.fastest() == 128, "256 rows are less than 5 % faster"
    assert device.released == 1
    assert MadeUpDevice(overhead=0).fastest() == 8


def test_a_size_that_does_not_fit_ends_the_measurement() -> None:
    device = MadeUpDevice(limit=40, overhead=900)
    assert device.fastest() == 32
    with pytest.raises(DeviceOutOfMemory, match="not even 8 rows"):
        MadeUpDevice(limit=7).fastest()


def test_no_size_is_tried_that_might_fill_the_memory_of_others() -> None:
    device = MadeUpDevice(overhead=400, room=100)
    assert device.fastest() == 64
    assert max(device.sizes) == 64, "128 rows would take more than 70 of 100 bytes"


def test_a_batch_that_takes_a_second_is_long_enough() -> None:
    assert MadeUpDevice(overhead=2000).fastest() == 8


def test_only_accelerators_are_measured() -> None:
    device = MadeUpDevice()
    assert batch_size(Device(), 5, device.run).size == 5
    assert device.sizes == []
    made_up = Device("meta")  # torch has no memory to ask for there
    assert batch_size(made_up, 5, device.run).size >= 8
    assert batch_size(made_up, 5).size == 5
    assert DeviceMemory(made_up).free() is None


def test_a_device_that_fails_while_a_model_is_loaded_is_told_apart_from_the_images() -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA error: uncorrectable ECC error\nCUDA kernel errors might be …")

    with pytest.raises(DeviceFailed, match=r"^the device meta failed: CUDA error: uncorrectable ECC error$"):
        batch_size(Device("meta"), 5, broken)
    model: Any = torch.nn.Linear(1, 1)
    model.to = broken
    with pytest.raises(DeviceFailed):
        placed(model, Device("meta"))
    model.to = full
    with pytest.raises(DeviceOutOfMemory, match="the memory of meta is full: CUDA out of memory"):
        placed(model, Device("meta"))


def full(*_: object, **__: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB")
