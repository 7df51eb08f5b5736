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
