"""Shows that a wish for a device is met or refused with the reason, and how its number format is chosen."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tasks.encoders.devices import (
    PATTERN,
    Device,
    DeviceUnavailable,
    Machine,
    choose,
    devices,
    devices_apart,
    is_out_of_memory,
)
from tests.unit.encoders.made_up_torch import AMPERE, PASCAL, PASCAL_FAST, TURING, made_up_torch
from vectordb.errors import Transient
from workers.settings.method import DEVICES
from workers.settings.settings import Settings


def machine(root: Path, *files: str, **environment: str) -> Machine:
    """A machine with these files, empty ones."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return Machine(root, environment)


DRIVER = "proc/driver/nvidia/version"


@pytest.mark.parametrize(
    ("capability", "dtype", "exact"),
    [
        (AMPERE, "bfloat16", "float16"),
        ((9, 0), "bfloat16", "float16"),
        (TURING, "float16", "float16"),
        (PASCAL_FAST, "float16", "float16"),
        (PASCAL, "float32", "float32"),
        ((5, 2), "float32", "float32"),
    ],
)
def test_the_number_format_follows_from_the_capability(
    capability: tuple[int, int], dtype: str, exact: str, tmp_path: Path
) -> None:
    found = choose("auto", torch=made_up_torch(capability), machine=machine(tmp_path))
    assert found == Device("cuda:0", dtype, exact, hardware="Made-up 0")


def test_auto_and_cuda_take_the_first_and_a_number_its_own(tmp_path: Path) -> None:
    two, here = made_up_torch(AMPERE, TURING), machine(tmp_path)
    assert {choose(wish, torch=two, machine=here).name for wish in ("auto", "cuda", "cuda:0")} == {"cuda:0"}
    second = choose("cuda:1", torch=two, machine=here)
    assert (second.name, second.dtype, second.kind, second.accelerated) == ("cuda:1", "float16", "cuda", True)
    cpu = choose("cpu", torch=two, machine=here)
    assert (cpu.name, cpu.exact_dtype, cpu.reason, cpu.accelerated) == ("cpu", "float32", "", False)


def test_auto_and_cuda_stand_for_all_devices_that_work(tmp_path: Path) -> None:
    three = made_up_torch(AMPERE, AMPERE, AMPERE, faults={"cuda:1": "CUDA error: uncorrectable ECC error"})
    for wish in ("auto", "cuda"):
        found = devices(wish, torch=three, machine=machine(tmp_path))
        assert [device.name for device in found] == ["cuda:0", "cuda:2"]
    with pytest.raises(DeviceUnavailable, match="cuda:1 cannot be used: CUDA error: uncorrectable ECC error"):
        devices("cuda:1", torch=three, machine=machine(tmp_path))


def test_mps_is_taken_where_it_is(tmp_path: Path) -> None:
    apple = made_up_torch(cuda=None, mps=True)
    assert {choose(wish, torch=apple, machine=machine(tmp_path)).name for wish in ("auto", "mps")} == {"mps"}
    with pytest.raises(DeviceUnavailable, match=r"mps cannot be used: .*built without MPS"):
        choose("mps", torch=made_up_torch(cuda=None), machine=machine(tmp_path))


OLD = (
    "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040). Please update your GPU"
    " driver by downloading and installing a new version."
)
KERNEL = "CUDA error: no kernel image is available for execution on the device\nCUDA kernel errors might be …"
DRIVEN = "an NVIDIA driver is present, but "
FALLBACKS: dict[str, tuple[Any, str, dict[str, str], str]] = {
    "a build without CUDA": (
        made_up_torch(cuda=None), DRIVER, {},
        f"{DRIVEN}this torch (9.9.9+made-up) is built without CUDA: install a build with CUDA",
    ),
    "an old driver": (
        made_up_torch(warning=OLD), DRIVER, {},
        f"{DRIVEN}The NVIDIA driver on your system is too old (found version 11040)",
    ),
    "hidden devices": (
        made_up_torch(), "dev/nvidiactl", {"CUDA_VISIBLE_DEVICES": ""},
        f"{DRIVEN}CUDA_VISIBLE_DEVICES='' hides every GPU",
    ),
    "a container": (
        made_up_torch(), "dev/dxg", {"NVIDIA_VISIBLE_DEVICES": "void"},
        f"{DRIVEN}NVIDIA_VISIBLE_DEVICES='void' hides every GPU",
    ),
    "no device": (
        made_up_torch(), "dev/kfd", {},
        "an AMD GPU driver is present, but it shows no device to this process; run nvidia-smi",
    ),
    "a GPU that the build does not know": (
        made_up_torch(PASCAL, faults={"cuda:0": KERNEL}), "etc/hostname", {},
        "1 CUDA device is present, but CUDA error: no kernel image is available for execution on the device",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("found", "file", "environment", "reason"), FALLBACKS.values(), ids=FALLBACKS)
def test_auto_falls_back_and_says_why(
    found: Any, file: str, environment: Mapping[str, str], reason: str, tmp_path: Path
) -> None:
    here = machine(tmp_path, file, **environment)
    fallback = choose("auto", torch=found, machine=here)
    assert (fallback.name, fallback.reason) == ("cpu", reason)
    assert str(fallback.described(8)).endswith(f"batches of 8; {reason}")
    with pytest.raises(DeviceUnavailable) as refused:  # what was named is not replaced
        choose("cuda", torch=found, machine=here)
    assert str(refused.value) == f"the device cuda cannot be used: {reason.partition(', but ')[2]}"


def test_a_card_without_a_driver_is_seen(tmp_path: Path) -> None:
    here = machine(tmp_path, "sys/bus/pci/devices/0000:01:00.0/vendor", "sys/bus/pci/devices/0000:00:01.0/vendor")
    card = tmp_path / "sys/bus/pci/devices/0000:01:00.0"
    (card / "vendor").write_text("0x10de\n")
    (card / "class").write_text("0x030000\n")
    reason = choose("auto", torch=made_up_torch(), machine=here).reason
    assert reason == "an NVIDIA GPU is present, but no driver for it reaches this process"


def test_a_machine_without_a_gpu_needs_no_reason(tmp_path: Path) -> None:
    assert choose("auto", torch=made_up_torch(cuda=None), machine=machine(tmp_path)).reason == ""
    assert choose("auto", torch=made_up_torch(), machine=machine(tmp_path)).reason == ""


@pytest.mark.parametrize(
    ("count", "wish", "seen"),
    [(2, "cuda:7", "cuda:0 to cuda:1"), (1, "cuda:1", "only cuda:0"), (0, "cuda:0", "driver")],
)
def test_an_impossible_number_is_refused_with_those_that_there_are(
    count: int, wish: str, seen: str, tmp_path: Path
) -> None:
    with pytest.raises(DeviceUnavailable, match=f"{wish} cannot be used: .*{seen}") as refused:
        choose(wish, torch=made_up_torch(*[AMPERE] * count), machine=machine(tmp_path))
    assert "\n" not in str(refused.value)
    assert isinstance(refused.value, Transient), "images wait for the device and do not fail"


def test_another_word_is_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceUnavailable, match="'gpu' is no device: choose auto, cpu"):
        choose("gpu", torch=made_up_torch())
    assert DEVICES == PATTERN, "settings and models take the same words"
    monkeypatch.setenv("WILDTAG_DEVICE", "gpu")
    with pytest.raises(ValueError, match="is no device: choose auto, cpu"):
        Settings()


@pytest.mark.parametrize("wish", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:12"])
def test_the_setting_takes_what_can_be_chosen(wish: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WILDTAG_DEVICE", wish)
    assert Settings().device == wish


@pytest.mark.long
def test_a_process_of_its_own_finds_the_same() -> None:
    assert devices_apart("cpu") == devices("cpu")


@pytest.mark.long
def test_a_process_of_its_own_says_in_one_line_what_cannot_be() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tasks.encoders.devices", "cuda:99"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    with pytest.raises(DeviceUnavailable, match="cuda:99 cannot be used"):
        devices_apart("cuda:99")


def test_a_test_that_dies_or_hangs_is_told() -> None:
    def dies(*_: object, **__: object) -> Any:
        return SimpleNamespace(returncode=-11, stdout="", stderr="")

    def hangs(*_: object, **__: object) -> Any:
        raise subprocess.TimeoutExpired("python", 1)

    with pytest.raises(DeviceUnavailable, match="the process that tested the device cuda died"):
        devices_apart("cuda", dies)
    with pytest.raises(DeviceUnavailable, match="did not answer"):
        devices_apart("cuda", hangs)


def test_what_a_library_prints_before_the_answer_is_no_answer() -> None:
    def said(*_: object, **__: object) -> Any:
        line = json.dumps([{"name": "cuda:0", "dtype": "bfloat16"}])
        return SimpleNamespace(returncode=0, stdout=f"a greeting\n{line}\n", stderr="")

    assert devices_apart("cuda", said) == [Device("cuda:0", "bfloat16")]


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_a_lack_of_memory_is_told_from_other_errors(error: Exception, full: bool) -> None:
    assert is_out_of_memory(error) is full


def test_importing_and_asking_for_the_bundled_encoder_load_no_torch() -> None:
    code = (
        "import sys; import tasks.encoders.devices, tasks.encoders.batch_size, tasks.encoders.pixels;"
        "import workers.wiring.model_devices as m; from workers.settings.settings import Settings, QUEUES;"
        "s = Settings(device='cuda'); m.require_device(s, QUEUES); assert m.embedding_devices(s) == ['cuda'];"
        "assert m.device_finder(s) is None;"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
