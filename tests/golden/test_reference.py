"""Shows that the stages give what the reference implementation gives, and that the runner notices when not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.golden.__main__ import main, run

BESIDE = Path(__file__).parents[3] / "shared" / "golden"


@pytest.fixture(scope="module")
def folder() -> Path:
    found = Path(os.environ.get("WILDTAG_GOLDEN") or BESIDE)
    if not found.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"no golden vectors at {found}; set WILDTAG_GOLDEN")
        pytest.skip(f"no golden vectors at {found}")
    return found


def test_every_case_gives_what_the_reference_gives(folder: Path) -> None:
    reports = list(run(folder))
    assert [text for report in reports for text in report.wrong] == []
    assert sum(report.total for report in reports) > 0
    assert all(report.passed == report.total for report in reports)


def test_a_case_that_differs_is_counted_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = {"vectors": [[1.0, 0.0], [1.0, 0.0]], "threshold": 0.94, "components": 1, "kept": [0]}
    (tmp_path / "dedupe.json").write_text(json.dumps([good, {**good, "kept": [1]}, {"vectors": []}]))
    assert main([str(tmp_path)]) == 1
    assert "dedupe.json: 1/3" in capsys.readouterr().out


def test_a_folder_without_cases_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "no golden cases" in capsys.readouterr().err
