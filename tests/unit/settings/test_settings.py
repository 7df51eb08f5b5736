"""The settings: one flat class made of topics, each described in a sentence with its unit."""

from __future__ import annotations

import re

import pytest

from workers.settings.settings import TOPICS, Settings

UNITS = {"_s": "seconds", "_ms": "milliseconds", "_bytes": "bytes", "_pixels": "pixels", "_rate": "per second"}


def test_every_setting_belongs_to_one_topic() -> None:
    of_topics = [name for topic in TOPICS for name in topic.model_fields]
    assert len(of_topics) == len(set(of_topics))
    assert of_topics == list(Settings.model_fields)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described_in_sentences_with_unit_and_default(name: str) -> None:
    field = Settings.model_fields[name]
    said = field.description or ""
    assert re.match(r"(?:[A-Z]|gRPC|dense:|regions:|prompted:)", said), said
    assert said.endswith("."), said
    unit = next((unit for suffix, unit in UNITS.items() if name.endswith(suffix)), None)
    assert unit is None or unit in said.lower(), said
    secret_or_whole = not field.repr or name in {"s3_access_key", "home"}
    if field.default is None and not secret_or_whole:
        assert "Default:" in said, f"{name} does not say what holds when it is not set"


def test_another_process_builds_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Settings(
        test_time_augmentation=True, follow_suffixes=(".jpg", ".png"), segment_grids=(4, 8), qdrant_grpc_port=(0,),
        request_rate=2.5, key_required=False,
    )  # fmt: skip
    for name, value in chosen.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings() == chosen


def test_a_folder_of_the_user_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somebody")
    monkeypatch.setenv("WILDTAG_HOME", "~/wildtag")
    monkeypatch.setenv("WILDTAG_S3_CA_FILE", "~/ca.pem")
    assert str(Settings().home) == "/somebody/wildtag"
    assert str(Settings().s3_ca_file) == "/somebody/ca.pem"


@pytest.mark.parametrize(
    ("redis", "broker"),
    [
        ("redis://:a%2Fb@10.0.0.1:6379/3", "redis://:a%2Fb@10.0.0.1:6379/3"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
        ("unix://:a%2Fb@/run/redis.sock?db=3", "redis+socket://:a%2Fb@/run/redis.sock?virtual_host=3"),
    ],
)
def test_celery_gets_the_address_of_redis_in_its_own_form(redis: str, broker: str) -> None:
    assert Settings(redis_url=redis).broker == broker
