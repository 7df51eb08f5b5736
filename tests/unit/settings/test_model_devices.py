"""Shows which workers need the device of the settings, and how many embedding workers a machine gets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.encoders.devices import Device, DeviceUnavailable, Machine
from tasks.model_description import ONNX_RUNTIME, Description
from workers.settings.settings import QUEUES, Settings
from workers.wiring.model_devices import device_finder, embedding_devices, require_device, uses_device
from workers.wiring.models import DECODERS, ENCODED_AT_ONCE, decoded_ahead

CLIP = "openai/clip-vit-base-patch32"


def refuse(wish: str) -> list[Device]:
    raise DeviceUnavailable(f"the device {wish} cannot be used")


def gpus(count: int) -> list[Device]:
    return [Device(f"cuda:{number}", "bfloat16") for number in range(count)]


def test_who_loads_a_model_of_torch_uses_the_device() -> None:
    encoding = {"embedding", "scoring", "segmentation", "ingestion"}
    assert {queue for queue in QUEUES if uses_device(Settings(encoder=CLIP), [queue])} == encoding
    assert not uses_device(Settings(), QUEUES)
    for settings in (Settings(clipseg_model="/models/clipseg"), Settings(proposals="/models/sam")):
        assert {queue for queue in QUEUES if uses_device(settings, [queue])} == {"segmentation"}
        assert device_finder(settings) is not None
    assert device_finder(Settings()) is None


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "mps"])
def test_a_named_device_is_tested_before_the_worker_starts(device: str) -> None:
    with pytest.raises(DeviceUnavailable, match=device):
        require_device(Settings(encoder=CLIP, device=device), ["embedding"], refuse)
    require_device(Settings(encoder=CLIP, device=device), ["retrieval"], refuse)
    require_device(Settings(device=device), QUEUES, refuse)


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_what_is_always_there_is_not_tested(device: str) -> None:
    require_device(Settings(encoder=CLIP, device=device), QUEUES, refuse)


def test_one_embedding_worker_for_each_device(tmp_path: Path) -> None:
    driver = tmp_path / "dev" / "nvidiactl"
    driver.parent.mkdir()
    driver.touch()
    with_gpu, without = Machine(tmp_path), Machine(tmp_path / "nothing")
    for wish in ("auto", "cuda"):
        settings = Settings(encoder=CLIP, device=wish)
        assert embedding_devices(settings, lambda _: gpus(3), with_gpu) == ["cuda:0", "cuda:1", "cuda:2"]
        assert embedding_devices(settings, lambda _: gpus(1), with_gpu) == [wish]
    assert embedding_devices(Settings(encoder=CLIP), refuse, without) == ["auto"], (
        "without a look, which takes seconds"
    )
    assert embedding_devices(Settings(device="cuda"), refuse, with_gpu) == ["cuda"], "the bundled encoder"
    assert embedding_devices(Settings(encoder=CLIP, device="cuda:1"), lambda _: gpus(3), with_gpu) == ["cuda:1"]
    with pytest.raises(DeviceUnavailable):
        embedding_devices(Settings(encoder=CLIP, device="cuda"), refuse, with_gpu)


class Encoder:
    def __init__(self, device: str, batch: int, runtime: str = "PyTorch") -> None:
        self.description = Description(device, runtime, "bfloat16", batch)


def test_all_cores_decode_for_an_accelerator_which_gets_two_batches_at_a_time() -> None:
    assert decoded_ahead(Encoder("cuda:0", 128), 8) == (7, 256, 1)
    assert decoded_ahead(Encoder("cuda:0", 128), 64) == (16, 256, 1)
    assert decoded_ahead(Encoder("cuda:0", 32), 1) == (DECODERS, 64, 1)
    assert decoded_ahead(Encoder("cpu", 4), 8) == decoded_ahead(object(), 8) == (DECODERS, ENCODED_AT_ONCE, 1)
    assert decoded_ahead(Encoder("cpu", 32), 8) == (DECODERS, 32, 1)


def test_onnx_runtime_gets_two_groups_at_a_time_with_no_more_images() -> None:
    assert decoded_ahead(Encoder("cpu", 2, ONNX_RUNTIME), 2) == (DECODERS, ENCODED_AT_ONCE // 2, 2)
    assert decoded_ahead(Encoder("cpu", 16, ONNX_RUNTIME), 2) == (DECODERS, 16, 2)


@pytest.mark.long
@pytest.mark.parametrize("arguments", [("worker", "embedding"), ("worker", "scoring", "segmentation")])
def test_a_worker_whose_device_is_not_there_ends_with_one_line(arguments: tuple[str, ...], tmp_path: Path) -> None:
    given = {"WILDTAG_ENCODER": CLIP, "WILDTAG_DEVICE": "cuda:99", "WILDTAG_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "workers.cli", *arguments]
    done = subprocess.run(command, env=os.environ | given, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("wildtag: the device cuda:99 cannot be used: ")
