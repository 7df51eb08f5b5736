"""``wildtag encoder``: one preparation of a home at a time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vectordb.errors import Permanent
from workers.cli.encoder import abort, resume, switch
from workers.embedded.second_pipeline import alone


@pytest.mark.parametrize("command", [resume, switch, abort])
def test_while_a_preparation_runs_no_other_command_changes_the_encoder(
    command: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    change = SimpleNamespace(encoder="other", space="other-1", before="bundled-1")
    now = SimpleNamespace(
        settings=SimpleNamespace(home=tmp_path), encoders=SimpleNamespace(change=lambda: change), drain=None
    )
    monkeypatch.setattr("workers.cli.encoder.connected", lambda: now)
    with alone(tmp_path), pytest.raises(Permanent, match="another command changes the encoder"):
        command()
