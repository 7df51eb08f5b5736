"""The list of encoders, and what is said before one is downloaded."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tasks.encoders.checkpoint import FAMILIES, read_config
from tasks.encoders.known import is_cached, known_models
from tasks.encoders.requirements import ModelNotLoaded
from workers.cli.main import app
from workers.cli.models import explain


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("WILDTAG_HOME", str(tmp_path / "home"))
    return tmp_path


def test_the_list_has_sizes_and_names_that_can_be_chosen() -> None:
    listed = known_models()
    assert listed["bundled"].download == 0
    assert is_cached("bundled")
    for name, model in listed.items():
        assert name == "bundled" or 500e6 < model.download < 5e9
        assert name == "bundled" or any(family in name.lower() for family in FAMILIES)


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin.index.json"])
def test_a_folder_needs_no_download_and_a_name_of_the_hub_does(tmp_path: Path, weights: str) -> None:
    assert is_cached(str(tmp_path))
    assert not is_cached("openai/clip-vit-base-patch32")
    assert not is_cached(str(tmp_path / "no such folder"))
    snapshot = tmp_path / "hub" / "models--openai--clip-vit-base-patch32" / "snapshots" / "1"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("1")
    (snapshot / "config.json").write_text("{}")
    assert not is_cached("openai/clip-vit-base-patch32")
    (snapshot / weights).write_text("")
    assert is_cached("openai/clip-vit-base-patch32")


def test_what_is_chosen_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WILDTAG_ENCODER", "openai/clip-vit-base-patch16")
    listed = json.loads(CliRunner().invoke(app, ["models", "--json"]).stdout)["models"]
    assert [one["name"] for one in listed if one["chosen"]] == ["openai/clip-vit-base-patch16"]
    assert "chosen" in CliRunner().invoke(app, ["models"]).stdout


def test_what_is_downloaded_is_said_before(capsys: pytest.CaptureFixture[str]) -> None:
    explain("openai/clip-vit-base-patch32")
    assert "605 MB" in capsys.readouterr().err
    explain("somebody/else")
    assert "on its page" in capsys.readouterr().err
    explain("bundled")
    assert capsys.readouterr().err == ""


def test_without_a_network_one_line_comes_soon(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The hub's library would retry for half a minute, with a line for each attempt."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:1")
    began = time.monotonic()
    with pytest.raises(ModelNotLoaded, match="has not been downloaded yet: no connection to the hub at http://127"):
        read_config("openai/clip-vit-base-patch32")
    assert time.monotonic() - began < 10
    assert capfd.readouterr().err == ""
