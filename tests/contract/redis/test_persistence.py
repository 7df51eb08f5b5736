"""What a restart of a real Redis would lose is said, by its configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.contract.own_redis import OwnRedis
from workers.redis.connection import Client
from workers.redis.persistence import risks


@pytest.fixture
def own() -> Iterator[Client]:
    """A server with an append-only file that is synced, which evicts nothing."""
    server = OwnRedis()
    yield server.start()
    server.close()


def test_a_server_that_keeps_everything_has_no_risk(own: Client) -> None:
    assert risks([own, own]) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"maxmemory-policy": "allkeys-lru"},
            r"may drop keys .* \(allkeys-lru\).*maxmemory-policy noeviction$",
        ),
        ({"appendfsync": "no"}, r"half a minute: set appendfsync everysec$"),
        ({"appendonly": "no"}, r"writes nothing to its disk, .* made again from the bucket, .*: set appendonly yes$"),
        ({"appendonly": "no", "save": "60 1"}, r"only snapshots .* since the last one.*: set appendonly yes$"),
    ],
    ids=str,
)
def test_each_risk_is_named_once_with_what_to_set(own: Client, settings: dict[str, str], said: str) -> None:
    for name, value in settings.items():
        own.config_set(name, value)
    (risk,) = risks([own, own])
    assert risk.startswith("Redis ")
    assert re.search(said, risk), risk


def test_a_server_that_does_not_allow_the_question_is_no_risk(own: Client) -> None:
    own.config_set("appendonly", "no")
    own.acl_setuser("limited", enabled=True, nopass=True, commands=["+@all", "-config"], keys=["*"])
    limited = own.__class__(unix_socket_path=own.connection_pool.connection_kwargs["path"], username="limited")
    assert risks([limited]) == []
    own.acl_setuser("limited", commands=["-info"], enabled=True, nopass=True)
    assert risks([limited]) == []
