"""Shows when a start measures the encoder, what the commands say of it, and what the settings choose."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tasks.encoders import space_of
from tasks.encoders.runtimes import ONNX_FLOAT32, RUNTIMES, Plan
from tasks.encoders.tuning.remembered import Measured, Tuning, key_of, write_tuning
from tasks.encoders.tuning.tuner import TOO_LONG
from tests.unit.encoders.models import save_model
from vectordb.errors import Permanent
from workers.cli.console import console
from workers.cli.first_start import prepare_captions, tune_encoder
from workers.cli.tune import tune
from workers.diagnostics.device_checks import tuning_check
from workers.settings.settings import Settings
from workers.wiring import tuning as wired
from workers.wiring.captions import prepared
from workers.wiring.model_devices import embedding_devices
from workers.wiring.models import image_encoder, text_encoder_loader
from workers.wiring.wiring import Wiring

SLOW, FAST = Plan(ONNX_FLOAT32, 2, 3), Plan(ONNX_FLOAT32, 4, 3)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WILDTAG_HOME", str(tmp_path))
    monkeypatch.setenv("WILDTAG_THREADS", "3")
    return tmp_path


def remember(home: Path, encoder: str = "bundled") -> Tuning:
    found = Tuning(
        key=key_of(space_of(encoder).id, 3),
        measured=[
            Measured(side="image", plan=FAST, rate=20.0, cosine=1.0),
            Measured(side="image", plan=SLOW, rate=30.0, cosine=0.9912, refused="cosine to float32 of 0.9912"),
            Measured(side="text", plan=SLOW, rate=200.0, cosine=1.0),
        ],
        plans={"image": FAST, "text": SLOW},
    )
    write_tuning(home / "cache", found)
    return found


def test_a_start_measures_once_and_only_where_it_helps(home: Path) -> None:
    assert wired.is_untuned(Settings())
    assert not wired.is_untuned(Settings(tune=False))
    assert not wired.is_untuned(Settings(runtime="onnx-float32"))
    assert not wired.on_cpu(Settings(encoder="some/model", device="cuda"))
    assert wired.on_cpu(Settings(encoder="some/model", device="cpu"))
    found = remember(home)
    assert wired.read_tuning(Settings()) == found
    assert not wired.is_untuned(Settings())
    assert wired.is_untuned(Settings(threads=2)), "other threads are measured by themselves"


@pytest.mark.long
def test_the_encoders_use_what_is_remembered(home: Path) -> None:
    remember(home)
    image, text = image_encoder(Settings()), text_encoder_loader(Settings())()
    assert image.description.batch == FAST.rows  # type: ignore[attr-defined]  # it describes itself
    assert text.description.batch == SLOW.rows  # type: ignore[attr-defined]  # as above


def test_the_command_prints_what_is_remembered(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = remember(home)
    tune(json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["plans"]["image"] == {"runtime": "onnx-float32", "rows": 4, "lanes": 3, "threads": 1}
    assert [one["rate"] for one in said["measured"]] == [one.rate for one in found.measured]
    tune()
    shown = " ".join(capsys.readouterr().out.split())
    assert "chosen" in shown
    assert "0.99120" in shown


@pytest.mark.long
@pytest.mark.usefixtures("home")
def test_a_first_start_measures_and_remembers(capsys: pytest.CaptureFixture[str]) -> None:
    tune_encoder(Settings())
    said = capsys.readouterr().err
    assert "first start only" in said
    assert "Chosen: images onnx-float32" in said
    assert not wired.is_untuned(Settings())
    tune_encoder(Settings())
    assert not capsys.readouterr().err


def test_the_encoding_of_captions_is_told_in_a_log_when_it_begins(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no bar can be drawn, it would take minutes without a word."""
    said: list[str] = []

    def encode(_: Settings, progress: Callable[[str, int, int], None]) -> None:
        for done in (0, 10, 20):
            progress("Encoding captions", done, 20)
            said.append(capsys.readouterr().err)

    monkeypatch.setattr("workers.wiring.captions.prepare_captions", encode)
    prepare_captions(Settings(home=home))
    assert said == ["Encoding captions (first start only, minutes in all) …\n", "", ""]


def test_a_model_that_cannot_be_loaded_does_not_end_the_start_here(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(home / "model", "clip")
    (home / "model" / "preprocessor_config.json").unlink()
    tune_encoder(Settings(encoder=str(home / "model"), device="cpu"))
    assert "was not measured" in capsys.readouterr().err


def test_int8_has_captions_of_its_own(home: Path) -> None:
    name = str(home / "model")
    save_model(home / "model", "clip")
    usual, small = Settings(encoder=name, device="cpu"), Settings(encoder=name, device="cpu", runtime="onnx-int8")
    assert Wiring(small).space.id == f"{Wiring(usual).space.id}-int8" == image_encoder(small).space.id
    assert not prepared(small)


def test_a_named_runtime_has_one_worker_on_the_cpu() -> None:
    settings = Settings(encoder="some/model", runtime="onnx-float32")
    assert embedding_devices(settings, look=pytest.fail) == ["auto"]


def test_the_settings_name_every_runtime() -> None:
    for runtime in ("auto", *RUNTIMES):
        assert Settings.model_validate({"runtime": runtime}).runtime == runtime


def test_what_was_not_measured_is_not_called_the_fastest(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A start that has too little time keeps the usual plan."""
    unmeasured = Measured(side="image", plan=FAST, refused=TOO_LONG)
    slow = msgspec.structs.replace(remember(home), measured=[unmeasured, *remember(home).measured[2:]])
    (found,) = tuning_check("auto", "bundled", lambda: slow)
    assert found.detail.startswith("images onnx-float32, 3 × 4 (the usual, not measured); texts")
    assert (found.ok, found.remedy) == (None, "wildtag tune --again")
    write_tuning(home / "cache", slow)
    monkeypatch.setattr(console, "_width", 200, raising=False)
    tune()
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "chosen, as usual; not measured" in shown


def test_doctor_says_what_was_measured(home: Path) -> None:
    def failing() -> Tuning | None:
        raise Permanent("no such model")

    (missing,) = tuning_check("auto", "bundled", lambda: None)
    assert (missing.ok, missing.remedy) == (None, "wildtag tune")
    (there,) = tuning_check("auto", "bundled", lambda: remember(home))
    assert there.detail == (
        "images onnx-float32, 3 × 4 (the fastest); texts onnx-float32, 3 × 2 (the only one that was measured)"
    )
    (named,) = tuning_check("torch-float32", "some/model", failing)
    assert "torch-float32" in named.detail
    assert not list(tuning_check("auto", "some/model", failing))
