"""Which services one machine runs follows from the settings."""

from __future__ import annotations

import base64
from pathlib import Path

from workers.embedded.redis_server import PrivateRedis
from workers.embedded.stack import services
from workers.gateway.serving import SERVER
from workers.settings.settings import Settings


def names(home: Path, **given: str) -> set[str]:
    settings = Settings.model_validate({"home": home, **given})
    return {service.name for service in services(settings, PrivateRedis(home), 5555)}


def test_who_has_a_receiver_runs_a_notifier(tmp_path: Path) -> None:
    secret = f"whsec_{base64.b64encode(bytes(32)).decode()}"
    without = names(tmp_path)
    assert names(tmp_path, notify_url="http://127.0.0.1:9/", notify_secret=secret) == without | {"notifier"}
    assert "notifier" not in without


def test_who_writes_back_runs_a_writer(tmp_path: Path) -> None:
    assert names(tmp_path, write_back="sidecar") == names(tmp_path) | {"writer"}


def test_the_gateway_may_end_requests_in_progress_before_it_is_killed(tmp_path: Path) -> None:
    stack = services(Settings(home=tmp_path), PrivateRedis(tmp_path), 5555)
    (gateway,) = (service for service in stack if service.name == "gateway")
    assert gateway.stop_timeout > SERVER["timeout_graceful_shutdown"]


def test_there_is_one_embedding_worker_for_each_device(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, device="auto")
    found = {
        service.name: service
        for service in services(settings, PrivateRedis(tmp_path), 5555, ["cuda:0", "cuda:1", "cuda:2"])
    }
    embedding = [service for name, service in found.items() if name.startswith("worker-embedding")]
    assert [service.name for service in embedding] == ["worker-embedding", "worker-embedding-2", "worker-embedding-3"]
    devices = [service.env["WILDTAG_DEVICE"] for service in embedding]
    assert devices == ["cuda:0", "cuda:1", "cuda:2"]
    assert len({(service.command, tuple(sorted(set(service.env)))) for service in embedding}) == 1
    assert found["worker-scoring"].env["WILDTAG_DEVICE"] == "auto"
    assert names(tmp_path) == set(found) - {"worker-embedding-2", "worker-embedding-3"}
