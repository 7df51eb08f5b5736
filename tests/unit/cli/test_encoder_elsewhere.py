"""``wildtag encoder`` where somebody else starts the processes: what is refused, and what is to be run next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vectordb.errors import Permanent
from workers.cli import encoder_elsewhere
from workers.cli.encoder_elsewhere import COMPOSE, KUBERNETES, start_lines
from workers.redis.encoders import FeederNote
from workers.settings.settings import Settings
from workers.wiring.encoder_change import require_possible

REDIS = "redis://127.0.0.1:1/0"


@pytest.mark.parametrize(("settings", "named"), [
    ({"partitions": 2, "key_prefix": "{wildtag}:", "qdrant_url": "http://q:6333"}, "WILDTAG_PARTITIONS"),
    ({"broker_url": "amqp://rabbit/x", "qdrant_url": "http://q:6333"}, "WILDTAG_BROKER_URL"),
    ({}, "WILDTAG_QDRANT_URL"),
])  # fmt: skip
def test_what_is_not_possible_is_refused_by_name_with_the_way_out(
    settings: dict[str, Any], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WILDTAG_REDIS_URL", REDIS)
    with pytest.raises(Permanent, match=rf"{named}.*wildtag retag --all"):
        require_possible(Settings(**settings))
    require_possible(Settings(qdrant_url="http://q:6333"))


def test_it_says_which_command_to_run_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr(encoder_elsewhere, "CONTAINERS", [tmp_path / "none"])
    assert start_lines() == [f"wildtag encoder run {one}" for one in ("worker", "dispatcher", "feeder")]
    (tmp_path / "dockerenv").touch()
    monkeypatch.setattr(encoder_elsewhere, "CONTAINERS", [tmp_path / "dockerenv"])
    assert start_lines() == [COMPOSE]
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert start_lines() == [KUBERNETES]


def test_the_feeder_says_how_far_it_is_and_how_long_it_takes() -> None:
    note = FeederNote("images", 100, 400, 0.0, 2.0)
    assert note.left_s == 150
    body = {"doing": "images", "done": 100, "total": 400, "rate": 2.0, "left_s": 150, "fault": ""}
    assert list(encoder_elsewhere.feeder_lines(body)) == [
        "Feeder: images, 100 of 400; 2.0 images a second, about 150 s left"
    ]
    assert FeederNote("images", 100, 400, 0.0).left_s is None
