"""The command line of the benchmarks, and the page that lists them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ops.bench.__main__ import ALL, BENCHMARKS, main
from ops.bench.checkouts import ROOT
from ops.bench.every import PLANS


@pytest.mark.parametrize("name", [*BENCHMARKS, ALL])
def test_every_benchmark_shows_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert "--json" in capsys.readouterr().out


def test_every_benchmark_is_run_by_all_of_them_or_has_a_reason_and_is_described() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", (ROOT / "ops" / "bench" / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(BENCHMARKS)
    assert sorted(PLANS) == sorted(BENCHMARKS)


@pytest.mark.long
def test_all_of_them_give_one_object_with_results_and_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "captions").mkdir()  # as if they were encoded, which neither needs
    monkeypatch.setenv("WILDTAG_HOME", str(tmp_path))
    assert main([ALL, "--only", "decoding,finding", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["decoding"]["images"] > 0
    assert "labelled images" in found["finding"]["missing"]


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speed"]) == 2
    assert "pipeline" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["start", "growth"])
def test_an_unknown_part_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--only", "nothing"])
    assert ended.value.code == 2
    assert "there is no part 'nothing'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["pipeline", "latency", "memory", "soak", "steady", "start"])
def test_a_home_without_captions_is_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--home", str(tmp_path)]) != 0
    assert f"{tmp_path} has no captions" in capsys.readouterr().err
