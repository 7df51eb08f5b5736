"""The commands of the README, as a newcomer types them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.acceptance.images import bad_files, drop, photograph
from tests.acceptance.stack import Json, Stack
from workers.cli.samples import PHOTOGRAPHS
from workers.supervision.supervisor import read_stack

pytestmark = pytest.mark.timeout(600)


def test_demo_shows_all_photographs_and_leaves_nothing(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack(COLUMNS="160")
    shown = stack.wildtag("demo").stdout
    for name in PHOTOGRAPHS:
        assert len(re.findall(rf"{re.escape(name)} .*\d\.\d\d", shown)) == 1, shown
    assert not (stack.home / "run" / "stack.json").exists()


def test_tag_needs_no_stack_and_agrees_with_it(
    make_stack: Callable[..., Stack], running: Stack, tmp_path: Path
) -> None:
    names = ["chelsea.png", "coffee.png", "motorcycle_left.png"]
    for name in names:
        drop(tmp_path / "photos", name, photograph(name))
    paths = [str(tmp_path / "photos" / name) for name in names]
    alone = tagged_by(make_stack(), *paths)
    assert [record["state"] for record in alone] == ["done"] * 3

    # a stack owns its captions; the same command asks it
    beside = tagged_by(running, str(tmp_path / "photos"))
    for name in names:
        drop(running.inbox, f"to compare/{name}", photograph(name))
    records = running.settled(3, under="to compare/")
    for name, one, other in zip(names, alone, beside, strict=True):
        for tagged in (one, other):
            theirs = records[f"to compare/{name}"]["tags"]
            assert [tag["label"] for tag in tagged["tags"]] == [tag["label"] for tag in theirs]
            for tag, their in zip(tagged["tags"], theirs, strict=True):
                assert tag["score"] == pytest.approx(their["score"], abs=2e-3)


def tagged_by(stack: Stack, *paths: str) -> list[Json]:
    return [json.loads(line) for line in stack.wildtag("tag", "--json", *paths).stdout.splitlines()]


def test_modules_of_the_folder_that_it_is_started_in_shadow_none_of_ours(running: Stack) -> None:
    assert running.folder is not None
    assert {"tasks.py", "workers.py", "vectordb.py"} <= {file.name for file in running.folder.iterdir()}
    info = read_stack(running.home)
    assert info is not None
    for name, pid in info.pids.items():
        if name != "redis":
            assert psutil.Process(pid).cwd() == str(running.folder), name
    drop(running.inbox, "beside others/coffee.png", photograph("coffee.png"))
    assert running.settled(1, under="beside others/")["beside others/coffee.png"]["state"] == "done"
    assert "was imported" not in running.said()


def test_tag_says_what_is_wrong_with_a_file(make_stack: Callable[..., Stack], tmp_path: Path) -> None:
    stack = make_stack()
    bad = bad_files()
    for key, (data, _) in bad.items():
        drop(tmp_path / "photos", key, data)
    for key in ("notes.txt", "@eaDir/good.png", "Thumbs.db"):
        drop(tmp_path / "photos", key, b"what lies beside photographs")
    drop(tmp_path / "photos", "good.png", photograph("coffee.png"))
    missing = str(tmp_path / "photos" / "missing.png")
    done = stack.wildtag("tag", "--json", str(tmp_path / "photos"), missing, check=False)
    assert done.returncode == 1
    records = {Path(record["key"]).name: record for record in map(json.loads, done.stdout.splitlines())}
    assert {key: record["error"]["code"] for key, record in records.items() if record["error"]} == {
        **{key: code for key, (_, code) in bad.items()},
        "missing.png": "gone", "notes.txt": "not-an-image",
    }  # fmt: skip
    assert {key for key, record in records.items() if record["state"] == "skipped"} == {"notes.txt"}
    assert records["good.png"]["state"] == "done"


def test_doctor_finds_this_machine_fit(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack()
    checks = [json.loads(line) for line in stack.wildtag("doctor", "--json").stdout.splitlines()]
    assert checks
    assert all(check["ok"] is not False for check in checks)


def test_nonsense_settings_are_named(make_stack: Callable[..., Stack]) -> None:
    run = make_stack(WILDTAG_MAX_TAGS="0", WILDTAG_PROFILE="abc").wildtag("status", check=False)
    assert run.returncode == 2
    assert "WILDTAG_MAX_TAGS=0:" in run.stderr
    assert "WILDTAG_PROFILE=abc:" in run.stderr
    assert "Traceback" not in run.stderr
    missing = make_stack("other", WILDTAG_INBOX="/no/such/folder").wildtag("up", check=False)
    assert missing.returncode == 1
    assert "/no/such/folder" in missing.stderr
    assert "Traceback" not in missing.stderr
