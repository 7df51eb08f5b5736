"""The URL of the broker: what is supported, and what is said of the others without their password."""

from __future__ import annotations

import os

import pytest
from pydantic import ValidationError

from tests.warm import wildtag
from workers.settings.settings import Settings


@pytest.mark.parametrize("url", [
    "amqp://u:p@h:5672/v", "amqps://h/%2F", "amqp://a;amqp://b", "redis://h:6379/0", "rediss://:p@h", "unix://:p@/a/b",
    "redis+socket:///nowhere/redis.sock",
])  # fmt: skip
def test_supported(url: str) -> None:
    assert Settings(broker_url=url).broker_url == url


@pytest.mark.parametrize(("url", "reason"), [
    ("sqs://", "begins with none of"), ("pyamqp://h", "begins with none of"), ("memory://", "begins with none of"),
    ("sentinel://h:26379/0", "begins with none of"),
    ("h:5672", "begins with none of"), ("amqp://a;file:///tmp", "begins with none of"),
    ("amqp://u:pass/word@h:5672/v", "%2F"), ("amqp://u:pass#word@h/v", "%XX"),
])  # fmt: skip
def test_refused_with_a_reason(url: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Settings(broker_url=url)


def test_a_refusal_is_one_line_without_the_password() -> None:
    done = wildtag("status", env={**os.environ, "WILDTAG_BROKER_URL": "amqp://u:pass/word@h:5672/v"})
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "WILDTAG_BROKER_URL" in line
    assert "pass" not in line.replace("password", "")
