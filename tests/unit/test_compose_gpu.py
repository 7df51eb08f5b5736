"""docker-compose.gpu.yml gives GPUs to the workers that compute, and changes nothing else of them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.unit.compose_file import COMPOSE, FILE, GPU_SERVICES, ROOT, SERVICES, filled, interpolated
from workers.settings.secret_settings import SECRETS
from workers.settings.settings import SEGMENTATION, STAGES, Settings
from workers.settings.variables import variable

SECOND = "worker-embedding-2"


def reserved(service: dict[str, Any], given: dict[str, str]) -> list[str]:
    """The numbers of the GPUs that a service reserves."""
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    return [interpolated(number, given) for number in device["device_ids"]]


def test_the_workers_that_encode_images_get_a_gpu_each() -> None:
    assert set(GPU_SERVICES) - {SECOND} == {f"worker-{queue}" for queue in (STAGES[0], SEGMENTATION)}
    assert [reserved(GPU_SERVICES[name], {}) for name in sorted(GPU_SERVICES)] == [["0"], ["1"], ["0"]]
    chosen = {"EMBEDDING_GPU": "2", "SECOND_EMBEDDING_GPU": "3", "SEGMENTATION_GPU": "4"}
    assert [reserved(GPU_SERVICES[name], chosen) for name in sorted(GPU_SERVICES)] == [["2"], ["3"], ["4"]]


def test_a_second_gpu_is_for_a_second_embedding_worker_where_it_is_wanted() -> None:
    first, second = GPU_SERVICES["worker-embedding"], dict(GPU_SERVICES[SECOND])
    assert second.pop("extends") == {"file": COMPOSE.name, "service": "worker-embedding"}
    assert second.pop("profiles") == ["second-gpu"]
    assert (second["image"], second["environment"]) == (first["image"], first["environment"])
    assert second["deploy"]["resources"]["limits"] == first["deploy"]["resources"]["limits"]


def test_no_other_service_and_no_image_asks_for_a_gpu() -> None:
    for service in SERVICES.values():
        assert "devices" not in service["deploy"]["resources"].get("reservations", {})
    dockerfile = (ROOT / "ops" / "docker" / "Dockerfile").read_text()
    assert "NVIDIA_VISIBLE_DEVICES" not in dockerfile, "every container would see all of them"
    assert re.search(r"^ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility$", dockerfile, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(set(GPU_SERVICES) - {SECOND}))
def test_only_image_environment_and_resources_change(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    service = GPU_SERVICES[name]
    assert set(service) == {"image", "environment", "deploy"}
    assert interpolated(service["image"], {"VARIANT": "cuda"}) == "wildtag:cuda"
    assert set(service["deploy"]["resources"]["limits"]) == {"memory"}, "the limit of processes stays"
    assert set(service["environment"]) <= set(FILE["x-settings"])
    assert not set(service["environment"]) & {variable(setting) for setting in SECRETS}
    for key, value in service["environment"].items():
        monkeypatch.setenv(key, interpolated(value, filled()))
    assert Settings().device == "cuda", "a GPU that does not work ends the worker; it does not use the CPU"


def test_the_cpu_image_is_refused_before_anything_starts() -> None:
    for service in GPU_SERVICES.values():
        assert re.fullmatch(r"wildtag:\$\{VARIANT:\?.*cuda\}", service["image"])
