"""How many rows a model takes at once: measured on an accelerator, and halved when its memory is full."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from tasks.encoders.devices import Device, DeviceOutOfMemory, device_errors, is_out_of_memory

T = TypeVar("T")

SIZES = (8, 16, 32, 64, 128, 256, 512)
SHARE = 0.7  # of the free memory that a batch may fill: other processes use the device, too
_BETTER = 1.05  # a larger batch is worth its memory only if it is faster by this factor
_LONG_S = 1.0  # a batch that takes longer delays single images


class Memory(Protocol):
    """The memory of a device, in bytes."""

    def free(self) -> int | None:
        """What is free at present; ``None`` if that is unknown."""
        ...

    def peak(self, call: Callable[[], object]) -> int:
        """Run a call. Returns the most memory that it used in addition."""
        ...

    def release(self) -> None:
        """Give back what is kept for later."""
        ...


class BatchSize:
    """The number of rows at once on one device. It shrinks when they do not fit, and stays so."""

    def __init__(self, size: int, memory: Memory) -> None:
        self.size = size
        self._memory = memory

    def parts(self, rows: int, compute: Callable[[slice], T]) -> Iterator[T]:
        """Yield ``compute`` of consecutive parts of so many rows.

        A part that does not fit is computed again in halves. Raises ``DeviceOutOfMemory`` if a single row does not
        fit.
        """
        begin = 0
        while begin < rows:
            part = slice(begin, min(rows, begin + self.size))
            try:
                made = compute(part)
            except Exception as exc:
                if not is_out_of_memory(exc):
                    raise
                wide, cause = part.stop - part.start, exc.with_traceback(None)  # its frames hold the memory
            else:
                yield made
                begin = part.stop
                continue
            self._shrink(wide, cause)

    def _shrink(self, rows: int, cause: BaseException) -> None:
        gc.collect()
        self._memory.release()
        if rows == 1:
            text = str(cause).strip().partition("\n")[0]
            raise DeviceOutOfMemory(f"the memory of the device is full; not even one row fits: {text}") from cause
        self.size = rows // 2


def fastest(
    run: Callable[[int], None],
    memory: Memory,
    sizes: Sequence[int] = SIZES,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """The smallest of the fast batch sizes that fit into the free memory, by measurement.

    ``run``: computes a batch of this size, and returns when the device has finished. Sizes grow until the rate does
    not, a batch takes too long, or the next one might not fit. Raises ``DeviceOutOfMemory`` if not even the first
    one fits.
    """
    best, rate, used = sizes[0], 0.0, 0
    for size, before in zip(sizes, (0, *sizes), strict=False):
        room = memory.free()
        if before and room is not None and used * size / before > room * SHARE:
            break
        try:
            used = memory.peak(lambda size=size: run(size))  # type: ignore[misc]  # the first run is slower; not timed
            begin = clock()
            run(size)
            took = clock() - begin
        except Exception as exc:
            if not is_out_of_memory(exc):
                raise
            if not before:
                raise DeviceOutOfMemory(f"the memory of the device is full; not even {size} rows fit") from exc
            break
        if size / took < rate * _BETTER:
            break
        best, rate = size, size / took
        if took > _LONG_S:
            break
    memory.release()
    return best


class DeviceMemory:
    """The memory of a device of torch. That of the CPU is not looked at."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def free(self) -> int | None:
        """See ``Memory``; what torch keeps for later counts as free."""
        import torch  # noqa: PLC0415 - torch is loaded only when needed

        if self._device.kind == "cuda":
            kept = torch.cuda.memory_reserved(self._device.name) - torch.cuda.memory_allocated(self._device.name)
            return int(torch.cuda.mem_get_info(self._device.name)[0]) + kept
        if self._device.kind == "mps":
            return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
        return None

    def peak(self, call: Callable[[], object]) -> int:
        """See ``Memory``."""
        import torch  # noqa: PLC0415 - as above

        if self._device.kind != "cuda":
            call()
            return 0
        before = torch.cuda.memory_allocated(self._device.name)
        torch.cuda.reset_peak_memory_stats(self._device.name)
        call()
        return int(torch.cuda.max_memory_allocated(self._device.name)) - before

    def release(self) -> None:
        """See ``Memory``."""
        import torch  # noqa: PLC0415 - as above

        if self._device.kind == "cuda":
            torch.cuda.empty_cache()
        elif self._device.kind == "mps":
            torch.mps.empty_cache()


def batch_size(device: Device, on_cpu: int, run: Callable[[int], None] | None = None) -> BatchSize:
    """The batch size of a model that was loaded: ``on_cpu`` there, otherwise measured with ``run`` (see ``fastest``).

    Without ``run`` it is ``on_cpu`` on every device. Raises ``DeviceOutOfMemory``, ``DeviceFailed``.
    """
    memory = DeviceMemory(device)
    with device_errors(device):
        return BatchSize(fastest(run, memory) if device.accelerated and run is not None else on_cpu, memory)
