"""Caption files that were made to do harm are refused, in bounded memory, and end no process."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.attack.reader_files import ATTACKS, made
from tests.unit.vectordb.readers.test_parquet import table
from vectordb.readers import BadSource, isolated, source_of
from vectordb.readers.rows import Rows

LIMIT_S = 60  # a bound, not a measurement: each takes at most two seconds on an idle machine
OWN_MIB = 300  # of this kind of process; Python with numpy takes 60
BESIDE_MIB = isolated.MEMORY_MAX // 2**20 + 200
ROWS = {"text_lines": 400}  # whole, though each line is long


def measured(what: str, path: Path) -> dict[str, Any]:
    """How a reader ended in a process of its own, and what it took."""
    command = [sys.executable, "-m", "tests.attack.read_measured", what, str(path)]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def made_beside(name: str, folder: Path) -> Path:
    """``made`` in another process, because some attacks take memory to be made."""
    code = (
        "import sys, pathlib, tests.attack.reader_files as files; files.made(sys.argv[1], pathlib.Path(sys.argv[2]))"
    )
    subprocess.run([sys.executable, "-c", code, name, str(folder)], cwd=Path(__file__).parents[2], check=True)
    return folder if "/" in ATTACKS[name][0] else folder / ATTACKS[name][0]


@pytest.mark.parametrize("name", ATTACKS)
def test_a_file_made_to_do_harm(tmp_path: Path, name: str) -> None:
    path = made_beside(name, tmp_path)
    binary = ATTACKS[name][0].endswith((".parquet", ".arrow"))
    found = measured("read", path)
    assert found["mib"] < (BESIDE_MIB if binary else OWN_MIB)
    if name in ROWS:
        assert (found["status"], found["rows"]) == ("read", ROWS[name])
    else:
        assert found["status"].startswith(f"refused: {tmp_path}"), found


def test_a_reader_that_ends_or_hangs_is_a_fault_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that end their library exist; which ones depends on its version. So the process is ended here."""
    path = made("parquet_value", tmp_path)
    taken = isolated._taken()
    taken._process.kill()
    monkeypatch.setattr(isolated, "_taken", lambda: taken)
    with pytest.raises(BadSource, match="its reader ended") as raised:
        list(source_of([path]).read())
    assert raised.value.path == path


def test_a_reader_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made("parquet_value", tmp_path)
    monkeypatch.setattr(isolated, "DEADLINE_S", 0.0)
    with pytest.raises(BadSource, match="took longer than"):
        list(source_of([path]).read())


def test_a_reader_gets_no_secrets_and_writes_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    process = isolated._Process()
    try:
        place = Path(f"/proc/{process._process.pid}")
        assert b"secret" not in (place / "environ").read_bytes()
    finally:
        process.kill()


def test_an_abandoned_reader_is_ended(tmp_path: Path) -> None:
    """A loop that stops early leaves no process that holds the file."""
    path = table(tmp_path / "a.parquet", {"caption": [f"caption {number}" for number in range(10_000)]})
    process = isolated._Process()
    isolated._idle.append(process)
    with contextlib.closing(cast("Generator[Rows]", source_of([path]).read())) as rows:
        next(rows)
        assert process.usable
    assert not process.usable
