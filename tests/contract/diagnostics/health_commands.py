"""The health checks of the Compose file as commands, and how long a process may be without progress."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.own_redis import OwnRedis
from tests.unit.compose_file import SERVICES

ALLOWED_S = 100  # seconds without progress that the checks allow


def command(service: str, change: Callable[[str], str] = lambda word: word) -> list[str]:
    """The check of a service as Docker runs it."""
    how, *words = (change(word.replace("$$", "$")) for word in SERVICES[service]["healthcheck"]["test"])
    return ["/bin/sh", "-c", *words] if how == "CMD-SHELL" else words


def age(file: Path) -> None:
    """As if the last sign of life was longer ago than is allowed."""
    file.write_text(f"{int(file.read_text()) - ALLOWED_S}\n")


@pytest.fixture
def own() -> Iterator[OwnRedis]:
    redis = OwnRedis()
    redis.start()
    yield redis
    redis.close()


def answers(service: str, port: int) -> bool:
    arguments = command(service, lambda word: str(port) if re.fullmatch(r"\d{4}", word) else word)
    return subprocess.run(arguments, capture_output=True, check=False, timeout=8).returncode == 0
