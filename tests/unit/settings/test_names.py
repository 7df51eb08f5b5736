"""Old names of settings and options are refused with the new one, and misspelt variables are reported."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workers.cli.main import app
from workers.settings.names import FIXED, NO_SETTINGS, RENAMED, RENAMED_OPTIONS, OldName, unknown
from workers.settings.settings import Settings
from workers.settings.variables import variable

ROOT = Path(__file__).parents[3]


def run(
    arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """The exit status and what was written to standard error, as the console script gives them."""
    monkeypatch.setattr("sys.argv", ["wildtag", *arguments])
    with pytest.raises(SystemExit) as ended:
        app()
    return int(ended.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize(("old", "new"), [(old, new) for old, (new, _) in RENAMED.items()])
def test_a_renamed_setting_is_refused_in_one_line_that_names_the_new_one(
    old: str, new: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable(old), "best")
    status, said = run(["status"], monkeypatch, capsys)
    assert status == 2
    assert said.count("\n") == 1
    assert variable(old) in said
    assert variable(new) in said
    assert new in Settings.model_fields


@pytest.mark.parametrize("old", FIXED)
def test_a_removed_setting_is_refused_in_one_line_that_says_it_is_fixed(
    old: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable(old).lower(), "7")  # settings are read in any case of letters
    status, said = run(["status"], monkeypatch, capsys)
    assert status == 2
    assert said.count("\n") == 1
    assert f"fixed at {FIXED[old]}" in said
    assert old not in Settings.model_fields


def test_an_empty_old_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for old in (*RENAMED, *FIXED):
        monkeypatch.setenv(variable(old), "")
    Settings()


def test_no_process_starts_under_an_old_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WILDTAG_QUALITY", "default")
    with pytest.raises(OldName):
        Settings(bucket="inbox")


@pytest.mark.parametrize(
    "arguments",
    [
        ("reconcile", "--afresh"),
        ("captions", "import", "captions.txt", "--name", "mine", "--afresh"),
        ("captions", "copy", "mine", "--to", "http://127.0.0.1:1", "--afresh"),
        ("evaluate", "set.tsv", "--quality", "best"),
        ("evaluate", "set.tsv", "--quality=best"),
    ],
)
def test_a_renamed_option_is_refused_in_one_line_that_names_the_new_one(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = run(arguments, monkeypatch, capsys)
    old = next(option for option in RENAMED_OPTIONS if any(one.startswith(option) for one in arguments))
    assert status == 2
    assert said.count("\n") == 1
    assert old in said
    assert RENAMED_OPTIONS[old][0] in said


def test_an_option_that_never_was_is_refused_as_always(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = run(("reconcile", "--fresh"), monkeypatch, capsys)
    assert status == 2
    assert "No such option: --fresh" in said


def test_the_new_options_are_there() -> None:
    for command in (["reconcile"], ["captions", "import"], ["captions", "copy"]):
        assert "--no-resume" in CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"}).output
    said = CliRunner().invoke(app, ["evaluate", "--help"], env={"COLUMNS": "200"}).output
    assert "--test-time-augmentation" in said


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("WILDTAG_UNKOWN_SIMILARITY", "WILDTAG_UNKNOWN_SIMILARITY"),
        ("WILDTAG_MAXTAGS", "WILDTAG_MAX_TAGS"),
        ("wildtag_follow_prefix", "WILDTAG_FOLLOW_PREFIXES"),
        ("WILDTAG_TEST_TIME_AUGMENTATON", "WILDTAG_TEST_TIME_AUGMENTATION"),
    ],
)
def test_a_misspelt_variable_is_reported_with_the_nearest_setting(given: str, meant: str) -> None:
    (warning,) = unknown({given: "a-secret", "WILDTAG_HOME": "/x", "PATH": "/bin"}, Settings.model_fields)
    assert warning.startswith(given)
    assert f"did you mean {meant}?" in warning
    assert "a-secret" not in warning


def test_a_variable_that_is_like_no_setting_is_reported_without_a_guess() -> None:
    (warning,) = unknown({"WILDTAG_ZZZZZZ": "1"}, Settings.model_fields)
    assert "did you mean" not in warning


def test_what_others_read_and_what_is_empty_is_not_reported() -> None:
    known = dict.fromkeys([*NO_SETTINGS, *map(variable, Settings.model_fields)], "1")
    assert list(unknown(known | {"WILDTAG_NONSENSE": ""}, Settings.model_fields)) == []


def test_a_command_warns_once_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WILDTAG_MAXTAGS", "3")
    monkeypatch.setattr("workers.diagnostics.doctor.examine", lambda *_: [])
    status, said = run(["doctor"], monkeypatch, capsys)
    assert status == 0
    assert said.count("WILDTAG_MAXTAGS") == 1


def test_every_variable_that_the_code_reads_is_a_setting_or_known() -> None:
    """Of tests, measurements and the supervisor; a new one belongs into ``NO_SETTINGS``."""
    read = re.compile(r"""(?:environ(?:\.get|\.pop)?|getenv)[\[(]\s*f?["'](WILDTAG_[A-Z0-9_]+)["']""")
    known = NO_SETTINGS | {variable(name) for name in Settings.model_fields}
    for folder in ("tests", "ops", "workers", "tasks", "vectordb"):
        for file in (ROOT / folder).rglob("*.py"):
            assert set(read.findall(file.read_text(encoding="utf-8"))) <= known, file


def test_doctor_reports_misspelt_and_old_names_of_an_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.diagnostics.doctor.examine", lambda *_: [])
    file = tmp_path / "env"
    file.write_text(
        "# WILDTAG_COMMENTED=1\nexport WILDTAG_UNKNOWN_SIMILARITI=0.3\nWILDTAG_QUALITY=best\nREDIS_PASSWORD=x\n"
        "WILDTAG_MAX_TAGS=3\nWILDTAG_CACHE_DAYS=\n"
    )
    done = CliRunner().invoke(app, ["doctor", "--env-file", str(file), "--json"])
    said = [line for line in done.stdout.splitlines() if '"ok":false' in line]
    assert done.exit_code == 1
    assert len(said) == 2
    assert "did you mean WILDTAG_UNKNOWN_SIMILARITY?" in said[0]
    assert "set WILDTAG_TEST_TIME_AUGMENTATION" in said[1]
    example = CliRunner().invoke(app, ["doctor", "--env-file", str(ROOT / ".env.example"), "--json"])
    assert example.exit_code == 0, example.stdout
