"""The settings of a Redis Cluster: what does not fit together is refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from workers.redis.slot_owner import cluster_url
from workers.settings.cluster_urls import has_hash_tag, names_cluster, node_urls
from workers.settings.settings import Settings

URL = "redis+cluster://a:7000,b:7001"
BROKER = "amqp://rabbit"


def made(home: Path, **given: Any) -> Settings:
    return Settings(home=home, **given)


def test_a_cluster_needs_a_hash_tag_and_another_broker(tmp_path: Path) -> None:
    assert made(tmp_path, redis_url=URL, key_prefix="{w}:", broker_url=BROKER).broker == BROKER
    with pytest.raises(ValidationError, match="hash tag"):
        made(tmp_path, redis_url=URL, broker_url=BROKER)
    with pytest.raises(ValidationError, match="does not carry Celery's queues"):
        made(tmp_path, redis_url=URL, key_prefix="{w}:")
    with pytest.raises(ValidationError, match="begins with none of"):
        made(tmp_path, redis_url=URL, key_prefix="{w}:", broker_url=URL)


@pytest.mark.parametrize("url", ["redis+cluster://", "redis+cluster://a:x", "redis+cluster://a:1,", f"{URL}/1"])
def test_an_unreadable_address_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValidationError, match="Redis Cluster"):
        made(tmp_path, redis_url=url, key_prefix="{w}:", broker_url=BROKER)


def test_the_nodes_share_user_password_and_options() -> None:
    read = cluster_url("rediss+cluster://me:p%40ss@a:7000,[::1]:7001?ssl_ca_certs=/ca.pem")
    assert read.nodes == (("a", 7000), ("::1", 7001))
    assert read.options["username"] == "me"
    assert read.options["password"] == "p@ss"  # noqa: S105 -- of a test
    assert read.options["ssl_ca_certs"] == "/ca.pem"
    assert "db" not in read.options
    assert cluster_url("redis+cluster://a").nodes == (("a", 6379),)


def test_other_addresses_name_no_cluster() -> None:
    assert names_cluster(URL)
    assert not names_cluster("redis://a:7000")
    assert node_urls(URL) == ["redis://a:7000?", "redis://b:7001?"]


@pytest.mark.parametrize(
    ("prefix", "has"), [("{w}:", True), ("a:{w}", True), ("w:", False), ("{}:", False), ("{w:", False)]
)
def test_a_hash_tag_is_not_empty(prefix: str, *, has: bool) -> None:
    assert has_hash_tag(prefix) is has
