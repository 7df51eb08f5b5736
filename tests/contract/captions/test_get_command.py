"""``wildtag captions get`` as a person runs it, with a list and a server of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.captions.test_datasets import Source
from tests.unit.captions.test_datasets import source as source  # noqa: PLC0414 -- a fixture
from tests.warm import wildtag

Get = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def get(source: Source, tmp_path: Path) -> Get:
    listed = tmp_path / "sets.toml"
    listed.write_text(
        f'[mine]\ntitle = "Mine"\nlicence = "none"\nsource = "{source.url}"\nurls = ["{source.url}/mine.tsv"]\n'
        'column = "2"\n'
    )
    environment = {**os.environ, "WILDTAG_HOME": str(tmp_path / "home"), "COLUMNS": "200"}

    return lambda *arguments: wildtag("captions", "get", *arguments, "--list", str(listed), env=environment)


def test_a_set_is_downloaded_imported_and_used_by_one_command(source: Source, get: Get, tmp_path: Path) -> None:
    source.files["/mine.tsv"] = b"".join(b"http://x/%d\ta photo of thing number %d\n" % (n, n) for n in range(30))
    assert "[mine]" not in get().stdout
    assert "mine" in get().stdout
    done = get("mine", "--use", "--json")
    assert done.returncode == 0, done.stderr
    manifest = json.loads(done.stdout)["manifest"]
    assert (manifest["name"], manifest["count"]) == ("mine", 30)
    assert f"In use: mine@{manifest['version']}" in done.stderr
    folder = tmp_path / "home" / "datasets" / "mine"
    assert [file.name for file in folder.iterdir()] == ["checksums.json"]
    again = get("mine", "--json")
    assert json.loads(again.stdout)["manifest"] == manifest
    assert "is imported already" in again.stderr
    assert len(source.ranges) == 1


def test_what_is_not_in_the_list_or_not_to_be_had_is_said_in_a_line(get: Get) -> None:
    missing = get("nothing")
    assert (missing.returncode, len(missing.stderr.splitlines())) == (1, 1)
    assert "choose one of: mine" in missing.stderr
    refused = get("mine")
    assert refused.returncode == 1
    assert "404" in refused.stderr.splitlines()[-1]
