"""Shows what ``wildtag doctor`` says of the device of models."""

from __future__ import annotations

from tasks.encoders.devices import Device, DeviceUnavailable
from workers.diagnostics.device_checks import device_checks
from workers.redis.connection import StoreUnavailable
from workers.redis.models_in_use import ModelInUse

IN_USE = ModelInUse(
    queue="embedding", model="image encoder", process="here-1", device="cuda:0", runtime="PyTorch", dtype="bfloat16",
    batch=64, hardware="Made-up",
)  # fmt: skip


def nothing() -> list[ModelInUse]:
    return []


def test_the_device_of_the_settings_is_named_with_its_format() -> None:
    (check,) = device_checks("auto", lambda _: Device("cuda:0", "bfloat16", hardware="Made-up"), nothing)
    assert (check.name, check.ok) == ("device", True)
    assert check.detail == "cuda:0 (Made-up), bfloat16; batches are measured when a model is loaded"


def test_a_fallback_is_noted_with_its_reason_and_what_to_do() -> None:
    (check,) = device_checks(
        "auto", lambda _: Device(reason="an NVIDIA driver is present, but it is too old"), nothing
    )
    assert (check.ok, check.detail) == (None, "cpu, float32: an NVIDIA driver is present, but it is too old")
    assert "WILDTAG_DEVICE=cpu" in check.remedy


def test_a_device_that_is_not_there_is_a_failure() -> None:
    def missing(wish: str) -> Device:
        raise DeviceUnavailable(f"the device {wish} cannot be used: it is not there")

    (check,) = device_checks("cuda:7", missing, nothing)
    assert (check.ok, check.detail) == (False, "the device cuda:7 cannot be used: it is not there")


def test_the_bundled_encoder_uses_none() -> None:
    assert [check.detail for check in device_checks("auto", None, nothing)] == [
        "cpu: the bundled encoder computes there"
    ]
    (check,) = device_checks("cuda", None, nothing)
    assert check.detail.endswith("nothing uses WILDTAG_DEVICE=cuda")


def test_models_of_the_running_stack_are_listed_while_its_redis_answers() -> None:
    slow = ModelInUse(
        queue="scoring", model="text encoder", process="here-2", device="cpu", runtime="PyTorch", dtype="float32",
        batch=64, reason="this build knows no GPU",
    )  # fmt: skip
    _, first, second = device_checks("auto", lambda _: Device(), lambda: [IN_USE, slow])
    assert (first.name, first.ok) == ("embedding: image encoder", True)
    assert first.detail == "cuda:0 (Made-up), PyTorch, bfloat16, batches of 64"
    assert (second.ok, second.detail) == (None, "cpu, PyTorch, float32, batches of 64; this build knows no GPU")

    def away() -> list[ModelInUse]:
        raise StoreUnavailable("Redis does not answer")

    assert len(list(device_checks("auto", lambda _: Device(), away))) == 1
