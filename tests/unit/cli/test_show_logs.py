"""``wildtag logs``: the lines of a request and of its objects, in every format, also from rotated logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from workers.cli.main import app
from workers.telemetry.formats import LogFormat
from workers.telemetry.single_lines import lines_in


def write(folder: Path, form: LogFormat) -> None:
    """The logs of two uploads, which one message contains, and of an object that came without a request."""
    line = lines_in(form)
    second = iter(range(60))

    def add(log: str, event: str, **fields: Any) -> None:
        timestamp = f"2026-11-30T10:00:{next(second):02}.000000Z"
        with (folder / log).open("a") as file:
            file.write(f"{line('info', event, timestamp=timestamp, **fields)}\n")

    folder.mkdir(parents=True)
    add("gateway.log.1", "image accepted", object="inbox/a b.jpg", request="first")
    add("gateway.log", "request", request="first", path="/v1/images")
    add("gateway.log", "image accepted", object="inbox/c.jpg", request="second")
    add("gateway.log", "request", request="second", path="/v1/images")
    add("worker-embedding.log", "message processed", requests=["first", "second"], objects=2, task="t1")
    add("worker-embedding.log", "message processed", objects=1, task="t2")
    add("worker-embedding.log", "gone", object="inbox/a b.jpg")
    add("dispatcher.log", "object overdue", object="inbox/other.jpg")
    with (folder / "redis.log").open("a") as file:
        file.write("first, in a line of another program\n")


def shown(home: Path, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("WILDTAG_HOME", str(home))
    done = CliRunner().invoke(app, ["logs", *arguments])
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


@pytest.mark.parametrize("form", ["json", "logfmt", "human"])
def test_a_request_is_followed_through_all_logs(
    form: LogFormat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "logs", form)
    lines = shown(tmp_path, "--request", "first", monkeypatch=monkeypatch)
    assert [line.split()[0] for line in lines] == ["gateway", "gateway", "worker-embedding", "worker-embedding"]
    for line, event in zip(lines, ["image accepted", "request", "message processed", "gone"], strict=True):
        assert event in line
    assert shown(tmp_path, "--request", "fir", monkeypatch=monkeypatch) == []
    only = shown(tmp_path, "worker-embedding", "--request", "first", "--lines", "1", monkeypatch=monkeypatch)
    assert len(only) == 1
    assert "gone" in only[0], "what the gateway says of the request tells its objects"


@pytest.mark.parametrize("form", ["json", "logfmt", "human"])
def test_an_object_is_found_by_its_id_and_by_its_key(
    form: LogFormat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "logs", form)
    for name in ("inbox/c.jpg", "c.jpg"):
        (line,) = shown(tmp_path, "--object", name, monkeypatch=monkeypatch)
        assert "image accepted" in line
    if form != "human":  # whose values are not quoted
        assert len(shown(tmp_path, "--object", "a b.jpg", monkeypatch=monkeypatch)) == 2


def test_without_a_choice_the_last_lines_of_each_log_are_shown_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "logs", "json")
    lines = shown(tmp_path, "--lines", "1", monkeypatch=monkeypatch)
    assert len(lines) == 4
    assert any("first, in a line of another program" in line for line in lines)
