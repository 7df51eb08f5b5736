"""The encoder that a switch has put into use in a home is that of each command there."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.settings.encoder_in_use import FILE, refused_in, write
from workers.settings.settings import Settings


def test_it_takes_the_place_of_those_it_has_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WILDTAG_HOME", str(tmp_path))
    assert Settings().encoder == "bundled"
    write(tmp_path, "new/model", "onnx-float32", ("bundled", "other"))
    assert (Settings().encoder, Settings().runtime) == ("new/model", "onnx-float32")
    assert Settings(encoder="other").encoder == "new/model"  # set before the switch, and never changed since
    assert Settings(encoder="third/one").encoder == "third/one"
    assert Settings(encoder="other", key_prefix="w:next:").encoder == "other"  # it prepares to be used again
    assert Settings(home=tmp_path / "another").encoder == "bundled"
    (tmp_path / FILE).write_text("{")
    assert Settings().encoder == "bundled"


def test_an_encoder_that_was_never_used_here_is_refused(tmp_path: Path) -> None:
    assert refused_in(tmp_path, "any/one") is None
    write(tmp_path, "new/model", "auto", ("bundled",))
    assert refused_in(tmp_path, "bundled") is None
    assert refused_in(tmp_path, "new/model") is None
    assert refused_in(tmp_path, "third/one") == "new/model"
