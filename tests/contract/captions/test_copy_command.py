"""``wildtag captions copy`` as a person runs it: processes that are killed, keys, and what is said."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from rich.console import Console

from ops.bench.qdrant_rest import RestServer, rest_server
from tasks.encoders import space_of
from tests.contract import real_servers
from vectordb.captions import SOURCE, Caption
from vectordb.folder import FolderLibrary
from vectordb.index import Floats
from vectordb.library import ChangeableLibrary, Manifest
from vectordb.options import IndexOptions
from vectordb.server_client import connect
from vectordb.server_library import ServerLibrary
from workers.cli.main import app

SPACE = space_of("bundled")
CAPTIONS = [Caption.of(f"a bowl of soup, {number}", candidates={"phrases": []}) for number in range(2600)]
TAUGHT = Caption.of("a photo of a Moka pot", **{SOURCE: "me"})
LATE = Caption.of("a samovar", **{SOURCE: "me"})
MANIFEST = Manifest(
    "soups", "v1", SPACE.id, SPACE.dimension, len(CAPTIONS), None, "2025-06-01T12:00:00+00:00", origin="soups.txt",
    read=len(CAPTIONS), source='["soups.txt"]',
)  # fmt: skip
KEY = "a key that nobody may see"


def vectors(count: int) -> Floats:
    rows = np.random.default_rng(3).normal(size=(count, SPACE.dimension)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with captions, to be used by all: copying changes nothing in it."""
    home = tmp_path_factory.mktemp("made")
    library = FolderLibrary(home / "captions", IndexOptions(m=8, ef_construct=32))
    with library.building(SPACE.id, "soups@v1", SPACE.dimension) as building:
        building.index.add([*CAPTIONS, TAUGHT], vectors(len(CAPTIONS) + 1))
        building.finish(MANIFEST)
    with library.building(SPACE.id, "few@v1", SPACE.dimension) as building:
        building.index.add(CAPTIONS[:20], vectors(20))
        building.finish(replace(MANIFEST, name="few", count=20))
    return home


@pytest.fixture
def server() -> Iterator[RestServer]:
    with rest_server() as server:
        yield server


def environment(home: Path, **settings: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WILDTAG_")}
    light = {"WILDTAG_HNSW_M": "8", "WILDTAG_HNSW_EF_CONSTRUCT": "32", "WILDTAG_QDRANT_GRPC_PORT": "0"}
    return {**clean, **light, "WILDTAG_HOME": str(home), **settings}


@dataclass(frozen=True)
class Done:
    stdout: str
    stderr: str


def run(home: Path, *arguments: str, status: int = 0, **settings: str) -> Done:
    """Run a command in this process, since starting one takes seconds; an unexpected exit status fails the test."""
    out, err, before = io.StringIO(), io.StringIO(), dict(os.environ)
    os.environ.clear()
    os.environ.update(environment(home, **settings))
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            app(["captions", *arguments])
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert (ended.value.code or 0) == status, err.getvalue()
    assert KEY not in out.getvalue() + err.getvalue()
    return Done(out.getvalue(), err.getvalue())


def copied(home: Path, *arguments: str, name: str = "soups", **settings: str) -> dict[str, Any]:
    (line,) = run(home, "copy", name, "--json", *arguments, status=0, **settings).stdout.splitlines()
    report: dict[str, Any] = json.loads(line)
    return report


def held(library: ChangeableLibrary) -> list[Caption]:
    index = library.open(SPACE.id, "soups@v1")
    found = [caption for page, _ in index.pages() for caption in page]
    index.close()
    return found


def on(server: RestServer, scratch: Path) -> ServerLibrary:
    return ServerLibrary(connect(server.url, grpc=False, api_key=server.key), scratch)


ALL = sorted([*CAPTIONS, TAUGHT], key=lambda caption: caption.id)


@pytest.mark.long
def test_a_copy_that_is_killed_goes_on_at_once_and_a_second_one_changes_nothing(
    made: Path, server: RestServer, tmp_path: Path
) -> None:
    enough, gone = threading.Event(), threading.Event()

    def hold() -> None:
        if sum(server.upserted) >= 2048 and not gone.is_set():
            enough.set()
            gone.wait(150)

    server.before_upsert = hold
    killed = subprocess.Popen(
        [sys.executable, "-m", "workers.cli", "captions", "copy", "soups", "--to", server.url],
        env=environment(made), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert enough.wait(120)
    finally:
        killed.kill()
        killed.wait()
        gone.set()
    assert on(server, tmp_path).manifests() == []  # what is half copied is not seen
    assert on(server, tmp_path).unfinished() == [(SPACE.id, "soups@v1")]

    report = copied(made, "--to", server.url)
    assert (report["count"], report["taught"], report["searches"], report["already"]) == (len(ALL), 1, 10, False)
    assert report["brought"] <= len(ALL) - 1024
    assert sum(server.upserted) <= len(ALL) + 2 * 1024
    library = on(server, tmp_path)
    assert library.manifests() == [MANIFEST]
    assert library.active(SPACE.id) is None
    assert held(library) == ALL

    before = sum(server.upserted)
    assert copied(made, "--to", server.url)["already"]
    said = run(made, "copy", "soups@v1", "--to", server.url)
    assert f"exists in {server.url} with {len(ALL):,} captions; not copied again" in said.stdout
    assert f"WILDTAG_QDRANT_URL={server.url} wildtag captions use soups@v1" in said.stderr
    assert sum(server.upserted) == before


@pytest.mark.long
def test_a_copy_comes_back_to_another_home_and_what_was_taught_since_is_brought(
    made: Path, server: RestServer, tmp_path: Path
) -> None:
    copied(made, "--to", server.url)
    there = tmp_path / "there"
    there.mkdir()
    report = copied(there, "--from", server.url)
    assert (report["brought"], report["target"]) == (len(ALL), f"the embedded home {there}")
    assert FolderLibrary(there / "captions").manifests() == [MANIFEST]
    assert held(FolderLibrary(there / "captions")) == ALL
    unused = run(there, "add", "a cup of tea", status=1)  # copied, and not in use
    assert "available: soups@v1. Choose some with `wildtag captions use NAME`" in unused.stderr
    index = on(server, tmp_path).open(SPACE.id, "soups@v1")
    index.add([LATE], vectors(1))

    said = run(there, "copy", "soups", "--from", server.url)
    assert f"Not copied: 1 caption taught only to {server.url}; to copy, pass --taught" in said.stderr
    assert len(held(FolderLibrary(there / "captions"))) == len(ALL)
    assert copied(there, "--to", "embedded", "--taught", WILDTAG_QDRANT_URL=server.url)["brought"] == 1
    assert LATE in held(FolderLibrary(there / "captions"))
    nothing = copied(made, "--to", str(there))  # from home to home; the other one knows more
    assert (nothing["already"], nothing["taught"]) == (True, 0)


def test_each_server_is_shown_its_own_key(made: Path, tmp_path: Path) -> None:
    with rest_server(KEY) as server, rest_server("another key") as other:
        refused = run(made, "copy", "few", "--to", server.url, status=1)
        assert "refuses the API key" in refused.stderr
        copied(made, "--to", server.url, name="few", WILDTAG_QDRANT_API_KEY=KEY)
        # the key of the server that the settings name is not for others
        run(
            made, "copy", "few", "--to", other.url, status=1,
            WILDTAG_QDRANT_URL=server.url, WILDTAG_QDRANT_API_KEY=KEY,
        )  # fmt: skip
        report = copied(
            made, "--to", other.url, name="few", WILDTAG_QDRANT_URL=server.url, WILDTAG_QDRANT_API_KEY=KEY,
            WILDTAG_COPY_TO_API_KEY="another key",
        )  # fmt: skip
        assert (report["source"], report["target"]) == (server.url, other.url)
        home = tmp_path / "home"
        home.mkdir()
        back = copied(home, "--from", other.url, name="few", WILDTAG_COPY_FROM_API_KEY="another key")
        assert back["count"] == 20


@pytest.mark.long
@pytest.mark.parametrize("kind", ["made-up", *(["real"] if real_servers.QDRANT else [])])
def test_a_version_goes_to_a_server_and_comes_back_as_it_was(
    made: Path, server: RestServer, tmp_path: Path, kind: str
) -> None:
    url, prefix = (real_servers.QDRANT if kind == "real" else server.url), f"t{uuid4().hex[:8]}-"
    settings = {"WILDTAG_QDRANT_PREFIX": prefix, "WILDTAG_QDRANT_API_KEY": real_servers.QDRANT_KEY or ""}
    (tmp_path / "captions").mkdir()
    try:
        assert copied(made, "--to", url, **settings)["count"] == len(CAPTIONS) + 1
        assert copied(tmp_path, "--from", url, **settings)["brought"] == len(CAPTIONS) + 1
    finally:
        client = real_servers.qdrant() if kind == "real" else server.client
        for known in client.get_collections().collections:
            if known.name.startswith(prefix):
                client.delete_collection(known.name)
    here, there = (FolderLibrary(home / "captions").open(SPACE.id, "soups@v1") for home in (made, tmp_path))
    for (captions, rows), (copies, their) in zip(here.pages(), there.pages(), strict=True):
        assert captions == copies
        assert np.allclose(rows, their, rtol=0, atol=1e-6)
    here.close()
    there.close()


def test_what_cannot_be_copied_is_said_in_a_line(made: Path, server: RestServer, tmp_path: Path) -> None:
    assert "give the target with --to" in run(made, "copy", "soups", status=1).stderr
    assert "source and target are the same" in run(made, "copy", "soups", "--to", "embedded", status=1).stderr
    assert "is not a place" in run(made, "copy", "soups", "--to", "localhost:6333", status=1).stderr
    assert (
        "there are no captions 'tea'; there are: few, soups"
        in run(made, "copy", "tea", "--to", server.url, status=1).stderr
    )
    away = "http://127.0.0.1:9"
    assert "127.0.0.1:9" in run(made, "copy", "soups", "--to", away, status=1).stderr

    library = on(server, tmp_path)
    with library.building(SPACE.id, "soups@v1", SPACE.dimension) as building:
        building.index.add(CAPTIONS[:3], vectors(3))
        building.finish(replace(MANIFEST, source="other", origin="tea.txt", count=3))
    refused = run(made, "copy", "soups", "--to", server.url, status=1)
    assert "has a different soups@v1" in refused.stderr
    assert "Nothing was copied" in refused.stderr
    assert len(held(library)) == 3


def test_a_snapshot_is_saved_and_taken_in_once(made: Path, tmp_path: Path) -> None:
    there, file = tmp_path / "there", tmp_path / "few.backup"
    there.mkdir()
    assert "Saved few@v1 to" in run(made, "snapshot", "few", str(file)).stdout
    assert "Restored few@v1: 20 captions" in run(there, "restore", str(file)).stdout
    assert "the version few@v1 already exists" in run(there, "restore", str(file), status=1).stderr
    file.write_bytes(file.read_bytes()[:-1])
    assert "snapshot" in run(tmp_path, "restore", str(file), status=1).stderr


def test_the_list_says_which_version_is_in_use(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy activates nothing; the settings may name the version, by its name alone, or nothing that exists."""
    monkeypatch.setenv("WILDTAG_HOME", str(made))

    def in_use() -> list[str]:
        said = io.StringIO()
        monkeypatch.setattr("workers.cli.captions.keep.console", Console(file=said, width=500))
        app(["captions", "list", "--json"], standalone_mode=False)
        rows = [json.loads(line) for line in said.getvalue().splitlines()]
        assert {"soups@v1", "few@v1"} <= {row["captions_version"] for row in rows}
        return [row["captions_version"] for row in rows if row["active"]]

    assert in_use() == []
    for wanted, shown in (("few", ["few@v1"]), ("soups@v1", ["soups@v1"]), ("none", [])):
        monkeypatch.setenv("WILDTAG_CAPTIONS", wanted)
        assert in_use() == shown
