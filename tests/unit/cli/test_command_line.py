"""What the command line prints when it is interrupted or its settings are wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from rich.text import Text
from typer.main import get_command
from typer.testing import CliRunner

from tests.eventually import eventually
from workers.cli.main import app
from workers.lifecycle.record_reader import FeedItem


def test_an_interrupted_import_prints_no_traceback(tmp_path: Path) -> None:
    """The first start imports for seconds: Ctrl-C reaches it there, too."""
    started = tmp_path / "started"
    # in place of the module that the command line imports first
    (tmp_path / "typer.py").write_text(f"open({str(started)!r}, 'w').close()\nimport time\ntime.sleep(60)\n")
    child = subprocess.Popen(
        [sys.executable, "-m", "workers.cli", "doctor"], env={**os.environ, "PYTHONPATH": f"{tmp_path}:."},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    eventually(started.exists)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=90)
    assert (child.returncode, out, err) == (130, "", "")


@pytest.mark.parametrize(
    ("setting", "value"), [("WILDTAG_NOTIFY_URL", "nowhere"), ("WILDTAG_MAX_TAGS", "0"), ("WILDTAG_ALPHA", "much")]
)
def test_a_wrong_setting_is_one_line_without_the_words_of_pydantic(
    setting: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(setting, value)
    with pytest.raises(SystemExit) as ended:
        app(["status"])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"wildtag: {setting}=")
    assert "Value error" not in line
    assert "Input should" not in line


def commands(group: Any, path: str = "wildtag") -> Iterator[tuple[str, Any]]:
    """Every command of the tree, with its path."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def test_every_command_argument_and_option_has_a_help_text() -> None:
    found = dict(commands(get_command(app)))
    assert {"wildtag up", "wildtag worker", "wildtag captions import"} <= set(found)
    silent = [path for path, command in found.items() if not command.help]
    silent += [
        f"{path} {p.name}" for path, command in found.items() for p in command.params if not getattr(p, "help", None)
    ]
    assert silent == []


def test_brackets_of_help_texts_are_shown() -> None:
    """Rich takes what stands in brackets for markup, and shows nothing of it."""
    found = dict(commands(get_command(app)))
    texts = [p.help for command in found.values() for p in command.params if getattr(p, "help", None)]
    lost = [text for text in texts if "[" in text and Text.from_markup(text).plain.count("[") != text.count("[")]
    assert lost == []


def test_a_missing_image_is_not_searched_for_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        app(["captions", "search", "photos/missing.PNG"])
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("wildtag: there is no file photos/missing.PNG")


def test_a_removed_object_is_told_as_one_with_a_record(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    items = [FeedItem("1-0", "inbox/holiday/a.png", None)]
    monkeypatch.setattr("workers.cli.results.connected", MagicMock())
    monkeypatch.setattr("workers.cli.results._feed", lambda *_: iter(items))
    with suppress(SystemExit):
        app(["watch", "--json"])
    assert json.loads(capsys.readouterr().out) == {
        "id": "inbox/holiday/a.png", "bucket": "inbox", "key": "holiday/a.png", "state": "removed"
    }  # fmt: skip


@pytest.mark.parametrize("command", ["results", "retag"])
@pytest.mark.parametrize("tag", ["", " "])
def test_an_empty_tag_is_refused_by_name(command: str, tag: str) -> None:
    said = CliRunner().invoke(app, [command, "--tag", tag])
    assert said.exit_code == 2
    assert "--tag is empty" in said.output


def test_a_setting_that_is_missing_is_told_as_not_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WILDTAG_REDIS_URL", "redis+cluster://127.0.0.1:1")
    monkeypatch.setenv("WILDTAG_KEY_PREFIX", "{wildtag}:")
    with pytest.raises(SystemExit) as ended:
        app(["status"])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("wildtag: WILDTAG_BROKER_URL is not set: a Redis Cluster does not carry")
