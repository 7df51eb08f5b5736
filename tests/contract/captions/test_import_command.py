"""``wildtag captions import`` as a person runs it: what is left out is named, and what is in doubt is asked."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.unit.vectordb.readers.reading import written
from tests.unit.vectordb.readers.test_parquet import lists, table
from tests.warm import wildtag

Import = Callable[..., subprocess.CompletedProcess[str]]
TEXTS = [f"a photo of thing number {i}" for i in range(300)]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "WILDTAG_HOME": str(tmp_path / "home"), "COLUMNS": "200"}


@pytest.fixture
def import_(environment: dict[str, str]) -> Import:
    return lambda path, *rest: wildtag("captions", "import", str(path), "--name", "mine", *rest, env=environment)


def test_rows_that_are_left_out_are_counted_in_json_and_named(import_: Import, tmp_path: Path) -> None:
    rows = [f"{text};{i}.jpg" for i, text in enumerate(TEXTS[:30])]
    path = written(tmp_path / "a.csv", "\n".join(["caption;file", *rows, "a dog", "a fox;x;y"]))
    done = import_(path, "--use", "--json")
    assert done.returncode == 0, done.stderr
    manifest = json.loads(done.stdout)["manifest"]
    assert (manifest["count"], manifest["read"], manifest["skipped"]) == (30, 32, {"ragged": 2})
    assert "(line 32)" in manifest["skipped_examples"][0]
    assert "2 rows were left out" in done.stderr
    assert "(line 33)" in done.stderr
    assert "In use: mine@" in done.stderr
    assert json.loads(import_(path, "--json").stdout)["manifest"] == manifest


def test_vectors_that_cannot_be_used_cost_their_rows_up_to_one_percent(import_: Import, tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(300, 384)).astype(np.float16)
    vectors[[4, 7, 9]] = np.array([[np.nan], [0], [np.inf]])
    done = import_(table(tmp_path / "a.parquet", {"text": TEXTS, "vector": lists(vectors)}), "--use")
    assert done.returncode == 0, done.stderr
    assert "3 rows were left out" in done.stderr
    assert all(
        what in done.stderr for what in ("(NaN) (caption 5 ", "is zero (caption 8 ", "is infinite (caption 10 ")
    )
    vectors[20] = 0
    worse = import_(table(tmp_path / "b.parquet", {"text": TEXTS, "vector": lists(vectors)}), "--use")
    assert worse.returncode == 2
    assert "4 of 300 vectors" in worse.stderr
    assert "In use" not in worse.stderr


def test_a_doubt_ends_with_the_columns_and_their_examples(import_: Import, tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "left;right\n" + "".join(f"{text};and {text}\n" for text in TEXTS))
    done = import_(path)
    assert done.returncode == 2
    assert "left: captions, such as 'a photo of thing number 0'" in done.stderr
    assert "--column" in done.stderr
    assert import_(path, "--column", "right").returncode == 0


def test_a_person_at_a_terminal_is_asked(environment: dict[str, str], tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "left;right\n" + "".join(f"{text};and {text}\n" for text in TEXTS[:30]))
    command = [sys.executable, "-m", "workers.cli", "captions", "import", str(path), "--name", "mine"]
    try:
        ours, theirs = pty.openpty()
    except OSError as exc:  # as in a chroot without /dev/pts
        pytest.skip(f"there is no terminal: {exc}")
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown, answered = b"", False
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the terminal is closed
            break
        shown += piece
        if b"Number of the column" in shown and not answered:
            os.write(ours, b"9\n2\n")
            answered = True
        if not piece:
            break
    assert process.wait(60) == 0, shown
    os.close(ours)
    assert answered
    assert b"left: captions" in shown
