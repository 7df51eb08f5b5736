"""Devices on which the models of ``transformers`` compute: the choice, the number format, and a lack of memory.

torch is imported only by the functions that need it. ``python -m tasks.encoders.devices WISH`` prints the devices as
JSON: a process that forks later asks in this way, because CUDA cannot be used after a fork.

A wish is ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``. ``auto`` takes the first device that works, and the CPU
if there is none; ``cuda`` takes the first one of CUDA. Any other wish is met or refused.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tasks.encoders.requirements import fast_dtype, need
from tasks.model_description import Description
from vectordb.errors import Transient

AUTO = "auto"
CPU = "cpu"
PATTERN = r"auto|cpu|mps|cuda(:\d{1,3})?"
_BFLOAT16_FROM = (8, 0)  # compute capability; older ones emulate it
_FLOAT16 = ((6, 0), (7, 0))  # 6.0 and all from 7.0 on are fast in it, 6.1 is not
_NVIDIA = "0x10de"  # vendor of PCI devices
_DISPLAY = "0x03"  # class of PCI devices
_FULL = (
    "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "can't allocate memory",
    "not enough memory",
)  # fmt: skip
_FAILED = ("CUDA error", "CUDA driver error", "HIP error", "cuDNN error", "CUDNN_STATUS_", "CUBLAS_STATUS_")
_LOOKING_S = 120.0


class DeviceUnavailable(Transient):
    """The device that was asked for is not there, or does not work. Images wait; none fails for it."""


class DeviceOutOfMemory(Transient):
    """A single row does not fit into the memory of the device, which others may use at present."""


class DeviceFailed(Transient):
    """The device fails every computation of this process from now on. Another process may be able to use it."""


@dataclass(frozen=True)
class Device:
    """A device and its number formats, by torch's names.

    ``dtype``: of encoders and captioning models. ``exact_dtype``: of segmentation models, whose thresholds need more
    digits than bfloat16 has. ``hardware``: its name. ``reason``: why ``auto`` uses the CPU although an accelerator
    seems to be present.
    """

    name: str = CPU
    dtype: str = "float32"
    exact_dtype: str = "float32"
    hardware: str = ""
    reason: str = ""

    @property
    def kind(self) -> str:
        """The name without its number."""
        return self.name.partition(":")[0]

    @property
    def accelerated(self) -> bool:
        """Whether it is no CPU."""
        return self.kind != CPU

    def described(self, batch: int, dtype: object = None) -> Description:
        """What a model reports that computes here in batches of this size. ``dtype``: if not that of the device."""
        name = str(dtype).removeprefix("torch.") if dtype is not None else self.dtype
        return Description(
            device=self.name, runtime="PyTorch", dtype=name, batch=batch, hardware=self.hardware, reason=self.reason
        )


@dataclass(frozen=True)
class Machine:
    """What can be seen of accelerators without torch. ``root``: where the file system begins."""

    root: Path = Path("/")
    environment: Mapping[str, str] | None = None

    def accelerator(self) -> str | None:
        """Signs of an accelerator for torch, in words; ``None`` if there are none."""
        signs = {
            "an NVIDIA driver": ("proc/driver/nvidia/version", "dev/nvidiactl", "dev/dxg"),
            "an AMD GPU driver": ("dev/kfd",),
        }
        for name, files in signs.items():
            if any((self.root / file).exists() for file in files):
                return name
        return "an NVIDIA GPU" if self._nvidia_card() else None

    def hidden(self) -> str | None:
        """The variable that hides all GPUs, with its value; ``None`` if none does."""
        environment = os.environ if self.environment is None else self.environment
        for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"):
            value = environment.get(name)
            if value is not None and value.strip() in {"", "-1", "none", "void"}:
                return f"{name}={value!r}"
        return None

    def _nvidia_card(self) -> bool:
        for device in (self.root / "sys/bus/pci/devices").glob("*"):
            try:
                vendor, kind = (device / name for name in ("vendor", "class"))
                if vendor.read_text().strip() == _NVIDIA and kind.read_text().startswith(_DISPLAY):
                    return True
            except OSError:
                continue
        return False


def choose(wish: str = AUTO, *, torch: Any = None, machine: Machine | None = None) -> Device:
    """The device for a wish. ``torch``: the module; by default it is imported.

    Raises ``DeviceUnavailable`` with the reason, and ``MissingPackage``. An accelerator is tested by a computation.
    """
    return devices(wish, torch=torch, machine=machine, most=1)[0]


def devices(
    wish: str = AUTO, *, torch: Any = None, machine: Machine | None = None, most: int | None = None
) -> list[Device]:
    """All devices that fulfil a wish, at least one: for ``auto`` and ``cuda`` each device of CUDA that works.

    ``most``: examine no more. Raises as ``choose`` does.
    """
    if re.fullmatch(PATTERN, wish) is None:
        raise DeviceUnavailable(f"{wish!r} is no device: choose auto, cpu, cuda, cuda:N or mps")
    machine, torch = machine or Machine(), torch or need("torch", "torch")
    if wish == CPU:
        return [_cpu()]
    if wish == "mps":
        if (fault := _mps_fault(torch)) is not None:
            raise DeviceUnavailable(f"the device mps cannot be used: {fault}")
        return [_mps(torch)]
    found, fault, count = _working(torch, machine, wish, most)
    if found:
        return found
    if wish != AUTO:
        raise DeviceUnavailable(f"the device {wish} cannot be used: {fault}")
    if _mps_fault(torch) is None:
        return [_mps(torch)]
    seen = machine.accelerator() or (f"{count} CUDA device{'s' * (count > 1)}" if count else None)
    return [_cpu(f"{seen} is present, but {fault}" if seen else "")]


def devices_apart(wish: str, run: Callable[..., Any] = subprocess.run) -> list[Device]:
    """``devices`` of a process of its own, for a process that forks later. Raises as ``devices`` does."""
    command = [sys.executable, "-P", "-m", "tasks.encoders.devices", wish]
    try:
        done = run(command, capture_output=True, text=True, timeout=_LOOKING_S, check=False)
    except subprocess.TimeoutExpired as exc:
        raise DeviceUnavailable(f"the device {wish} did not answer within {_LOOKING_S:.0f} s") from exc
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise DeviceUnavailable(said[-1] if said else f"the process that tested the device {wish} died")
    return [Device(**one) for one in json.loads(done.stdout.splitlines()[-1])]


def placed(model: Any, device: Device) -> Any:
    """A model of torch on its device, ready for inference. Raises ``DeviceOutOfMemory``, ``DeviceFailed``."""
    import torch  # noqa: PLC0415 - torch is loaded only when needed

    with device_errors(device):
        model = model.eval().requires_grad_(requires_grad=False).to(device.name)
        # convolutions in half precision are fast in this order there
        return model.to(memory_format=torch.channels_last) if device.kind == "cuda" else model


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a computation failed because memory was full, on whatever device."""
    import torch  # noqa: PLC0415 - as above

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error) for part in _FULL)


def _working(torch: Any, machine: Machine, wish: str, most: int | None) -> tuple[list[Device], str | None, int]:
    """The devices of CUDA that work, why the first other one does not, and the number of devices."""
    count, fault = _counted(torch, machine)
    number = wish.partition(":")[2]
    found: list[Device] = []
    for index in [int(number)] if number else range(count):
        wrong = _cuda_fault(torch, index, count) if count else fault
        if wrong is None:
            found.append(_cuda(torch, index))
        fault = fault or wrong
        if len(found) == most:
            break
    return found, fault, count


@contextmanager
def device_errors(device: Device) -> Iterator[None]:
    """Errors of the device inside of it are raised as ``DeviceOutOfMemory`` and ``DeviceFailed``."""
    try:
        yield
    except RuntimeError as exc:
        said = str(exc).strip().partition("\n")[0]
        if is_out_of_memory(exc):
            raise DeviceOutOfMemory(f"the memory of {device.name} is full: {said}") from exc
        if any(part in str(exc) for part in _FAILED):
            raise DeviceFailed(f"the device {device.name} failed: {said}") from exc
        raise


def _cpu(reason: str = "") -> Device:
    return Device(dtype=str(fast_dtype()).removeprefix("torch."), reason=reason)


def _mps(torch: Any) -> Device:
    torch.ones(1, device="mps").add_(1).item()
    return Device("mps", "float16", hardware="Apple GPU")


def _mps_fault(torch: Any) -> str | None:
    backend = getattr(torch.backends, "mps", None)
    if backend is None or not backend.is_built():
        return f"this torch ({torch.__version__}) is built without MPS, which macOS on Apple silicon has"
    return None if backend.is_available() else "this machine has no GPU that MPS supports"


def _cuda(torch: Any, index: int) -> Device:
    capability = tuple(torch.cuda.get_device_capability(index))
    half = capability >= _FLOAT16[1] or capability == _FLOAT16[0]
    exact = "float16" if half else "float32"
    dtype = "bfloat16" if capability >= _BFLOAT16_FROM else exact
    return Device(f"cuda:{index}", dtype, exact, hardware=str(torch.cuda.get_device_name(index)))


def _counted(torch: Any, machine: Machine) -> tuple[int, str | None]:
    """The number of devices of CUDA, and why there is none."""
    if torch.version.cuda is None and getattr(torch.version, "hip", None) is None:
        return 0, f"this torch ({torch.__version__}) is built without CUDA: install a build with CUDA"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        count = int(torch.cuda.device_count()) if torch.cuda.is_available() else 0
    if count:
        return count, None
    if (hidden := machine.hidden()) is not None:
        return 0, f"{hidden} hides every GPU"
    if said:  # for example that the driver is too old
        return 0, _first_sentence(str(said[-1].message).partition("initialization: ")[2] or str(said[-1].message))
    if not (machine.accelerator() or "").endswith("driver"):
        return 0, "no driver for it reaches this process"
    return 0, "it shows no device to this process; run nvidia-smi"


def _cuda_fault(torch: Any, index: int, count: int) -> str | None:
    """Why a device of CUDA cannot be used; ``None`` if it can."""
    if index >= count:
        names = "only cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        return f"this process sees {names}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the error says more
            torch.ones(1, device=f"cuda:{index}").add_(1).item()
    except (RuntimeError, AssertionError) as exc:
        return _first_sentence(str(exc))
    return None


def _first_sentence(text: str) -> str:
    line = text.strip().partition("\n")[0].strip()
    return re.split(r"(?<=[a-z)])\. ", line)[0].rstrip(".") or "torch gives no reason"


def main(arguments: Sequence[str]) -> int:
    """Print the devices for a wish as JSON, or the reason why there is none on standard error."""
    try:
        found = devices(*arguments)
    except Transient as exc:
        print(exc, file=sys.stderr)  # noqa: T201 - the answer of this process
        return 1
    print(json.dumps([asdict(device) for device in found]))  # noqa: T201 - as above
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
