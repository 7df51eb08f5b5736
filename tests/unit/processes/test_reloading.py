"""A process goes on with the encoder that a switch has put into use."""

from __future__ import annotations

import pytest

from workers.processes import reloading as module
from workers.processes.reloading import reloading
from workers.redis.encoders import EncoderChanged
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring


def test_it_runs_again_in_place_with_the_other_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    in_use = ["bundled"]
    monkeypatch.setattr(module, "in_use", lambda s: s.model_copy(update={"encoder": in_use[0]}))
    ran: list[str] = []

    def run(wiring: Wiring) -> None:
        ran.append(wiring.settings.encoder)
        if len(ran) == 1:
            in_use[0] = "new/model"
            raise EncoderChanged("another one")

    reloading(Settings(), run)
    assert ran == ["bundled", "new/model"]


def test_it_ends_where_the_settings_name_an_encoder_that_is_not_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "in_use", lambda settings: settings)

    def run(_: Wiring) -> None:
        raise EncoderChanged("another one")

    with pytest.raises(EncoderChanged):
        reloading(Settings(), run)
