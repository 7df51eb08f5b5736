"""The table of kept vectors: small, with every part named whether it was measured or not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ops.bench.__main__ import main
from ops.bench.labelled import labelled_set
from ops.bench.search import PARTS
from tasks.evaluation.manifest import BadManifest


def measured(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, list[dict[str, object]]]:
    assert main(["search", "--short", "--json", *arguments]) == 0
    rows = json.loads(capsys.readouterr().out)["measures"]
    return {part: [row for row in rows if row["part"] == part] for part in PARTS}


@pytest.mark.long
def test_search_and_keeping_are_measured_and_the_other_parts_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = measured(capsys, "--only", "latency,keeping,finding", "--folder", str(tmp_path / "bench"))
    for part in ("latency", "keeping"):
        assert all(isinstance(row["value"], float) and row["missing"] is None for row in found[part]), found[part]
    assert {row["name"]: row["value"] for row in found["latency"]}["search with a tag, recall@10"] == 1.0
    assert all("--photographs" in str(row["missing"]) for row in found["finding"])
    assert all(row["missing"] == "not asked for" for row in (*found["archive"], *found["examples"]))
    # no target applies to the small sizes
    assert all(row["reached"] is None for rows in found.values() for row in rows)


def test_a_set_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("--photographs", str(tmp_path / "nowhere.tsv"))
    found = measured(capsys, "--only", "finding,examples", *given)
    assert all("nowhere.tsv" in str(row["missing"]) for row in (*found["finding"], *found["examples"]))


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["search", "--only", "latency,speed"])
    assert ended.value.code == 2
    assert "speed" in capsys.readouterr().err


def test_files_are_found_by_their_id_where_the_path_is_that_of_a_package(tmp_path: Path) -> None:
    table = tmp_path / "set.tsv"
    rows = ["p1\tusr/share/dog.jpg\tdog|bicycle", "p2\tcat.png\tcat", "p3\tusr/share/gone.jpg\ttree"]
    table.write_text("\n".join(["id\tpath\tlabels", *rows]) + "\n")
    folder = tmp_path / "files"
    folder.mkdir()
    for name in ("p1.webp", "cat.png"):
        (folder / name).touch()
    found = labelled_set(table, folder)
    assert [(item.path.name, item.labels) for item in found.items] == [
        ("p1.webp", ("dog", "bicycle")),
        ("cat.png", ("cat",)),
    ]
    assert "gone.jpg" in str(found.skipped[0])
    with pytest.raises(BadManifest, match="elsewhere"):
        labelled_set(table, tmp_path / "elsewhere")
