"""Commands and processes of wildtag on the Redis of a test."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import warm
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.supervision.os_processes import MARK

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path, redis_url: str, client: Client, keys: Keys) -> dict[str, str]:
    """Of processes that use the Redis of this test."""
    assert not client.dbsize()
    (tmp_path / "inbox").mkdir()
    return {
        **{name: value for name, value in os.environ.items() if name != MARK},
        "WILDTAG_HOME": str(tmp_path), "WILDTAG_REDIS_URL": redis_url,
        "WILDTAG_BROKER_URL": redis_url.replace("unix://", "redis+socket://"), "WILDTAG_KEY_PREFIX": keys.prefix,
        "WILDTAG_WRITE_BACK": "tags", "WILDTAG_NOTIFY_URL": "http://127.0.0.1:9/",
        "WILDTAG_NOTIFY_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    }  # fmt: skip


@pytest.fixture
def wildtag(environment: dict[str, str]) -> Run:
    """Runs a command to its end."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return warm.wildtag(*arguments, env=environment, timeout=60)

    return run
