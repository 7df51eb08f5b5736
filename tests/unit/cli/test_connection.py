"""Commands that need a stack say in one line that there is none, or that it is not ready, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.cli.main import app
from workers.supervision.home import Home

NEED_A_STACK = (
    "results", "results a.png", "watch", "status", "retag --all", "reconcile", "upload a.png", "segment no-such-file",
    "alive dispatcher", "keys list", "keys create me --scope read", "keys remove me", "events counts",
    "events rejected", "webhooks dead", "webhooks counts", "webhooks replay --all",
    "captions import a.txt --name mine --queue", "captions get cc3m --queue",
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home without a stack."""
    monkeypatch.setenv("WILDTAG_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").touch()
    (tmp_path / "a.txt").touch()
    home = Home(tmp_path)
    yield home
    home.unlock()


def said(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The only line that a command which cannot do its work prints."""
    with pytest.raises(SystemExit) as ended:
        app(command.split())
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("command", NEED_A_STACK)
def test_without_a_stack(command: str, home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    line = said(command, capsys)
    assert line.startswith(f"No stack is running in {home.path}. Start one with wildtag up, or ")


def test_a_stack_that_is_not_ready(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.lock()
    assert said("status", capsys).startswith(f"The stack in {home.path} is still starting. Try again when ")
    home.stopping()
    assert said("upload a.png", capsys).startswith(f"The stack in {home.path} is stopping. Start it again with ")
