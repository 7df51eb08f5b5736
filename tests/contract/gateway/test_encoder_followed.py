"""What the gateway reads belongs to the encoder in use, also after another one was put into use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.gateway.running import wired
from vectordb.index import IndexMissing
from workers.redis.connection import Client
from workers.wiring import gateway
from workers.wiring.wiring import Wiring


def test_the_captions_that_are_counted_are_those_of_the_encoder_in_use(
    redis_url: str,
    client: Client,  # noqa: ARG001 -- empties Redis
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, after = (chosen(tmp_path / name, redis_url, name) for name in ("before", "after"))
    current = [before]
    monkeypatch.setattr(gateway, "CurrentWiring", lambda _: lambda: current[0])
    in_use = gateway.services(before).captions_in_use
    with pytest.raises(IndexMissing, match="before"):
        in_use()
    current[0] = after
    with pytest.raises(IndexMissing, match="after"):
        in_use()


def chosen(home: Path, redis_url: str, name: str) -> Wiring:
    """Adapters of an encoder whose captions are missing, which the error names."""
    home.mkdir()
    wiring = wired(home, redis_url)

    def missing() -> str:
        raise IndexMissing(name)

    wiring.chosen = missing
    return wiring
