"""Shows that the stages give what the reference implementation gives, and that the runner notices when not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.golden.__main__ import FORMAT, main, run

FOLDER = Path(__file__).parents[1] / "data" / "golden"


def test_every_case_gives_what_the_reference_gives() -> None:
    reports = list(run(FOLDER))
    assert [text for report in reports for text in report.wrong] == []
    assert {report.name for report in reports} == set(FORMAT) == {path.name for path in FOLDER.glob("*.json")}
    assert all(report.passed == report.total > 0 for report in reports)


def test_a_case_that_differs_is_counted_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = {"vectors": [[1.0, 0.0], [1.0, 0.0]], "threshold": 0.94, "components": 1, "kept": [0]}
    (tmp_path / "dedupe.json").write_text(json.dumps([good, {**good, "kept": [1]}, {"vectors": []}]))
    assert main([str(tmp_path)]) == 1
    assert "dedupe.json: 1/3" in capsys.readouterr().out


def test_a_folder_without_cases_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "no golden cases" in capsys.readouterr().err
