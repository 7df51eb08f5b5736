"""``wildtag encoder``: one preparation of a home at a time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vectordb.errors import Permanent
from workers.cli.encoder import resume, switch


@pytest.mark.parametrize("command", [resume, switch])
def test_while_a_preparation_runs_no_other_one_begins(
    command: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    change = SimpleNamespace(encoder="other", space="other-1", before="bundled-1")
    now = SimpleNamespace(
        settings=SimpleNamespace(home=tmp_path), encoders=SimpleNamespace(change=lambda: change), drain=None
    )
    monkeypatch.setattr("workers.cli.encoder.connected", lambda: now)
    monkeypatch.setattr("workers.supervision.home.supervisor_of", lambda home: {home: 4711}[tmp_path / "next"])
    with pytest.raises(Permanent, match="runs in another terminal"):
        command()
