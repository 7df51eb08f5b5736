"""``wildtag --help`` lists every command that a person or a service file must run, by topic."""

from __future__ import annotations

from typing import Any

import typer.main
from typer.testing import CliRunner

from workers.cli.main import app
from workers.cli.panels import PANELS, RUN

GROUP: Any = typer.main.get_command(app)
PROCESSES = {"worker", "dispatcher", "watcher", "gateway", "listen", "writer", "notifier", "flower", "prepare"}


def test_no_command_is_hidden_and_each_has_a_topic() -> None:
    for name, command in GROUP.commands.items():
        assert not command.hidden, name
        assert command.rich_help_panel in PANELS, name
    assert {name for name, command in GROUP.commands.items() if command.rich_help_panel == RUN} >= PROCESSES


def test_the_help_lists_the_topics_in_order_with_every_command() -> None:
    said = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "120"}).output
    places = [said.index(f"─ {panel} ─") for panel in PANELS]
    assert places == sorted(places)
    words = {line.strip("│ ").split(" ")[0] for line in said.splitlines()}
    assert set(GROUP.commands) <= words
