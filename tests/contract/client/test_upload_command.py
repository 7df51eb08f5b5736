"""``wildtag upload`` as a process, against a made-up gateway."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from tests.contract.made_up_gateway import MadeUpGateway, made_up_gateway, problem
from tests.eventually import eventually
from workers.embedded.ports import free_port
from workers.embedded.stack import command

Run = subprocess.CompletedProcess[str]
Wildtag = Callable[..., Run]


@pytest.fixture
def gateway() -> Iterator[MadeUpGateway]:
    with made_up_gateway() as made:
        yield made


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three images, of which one is below, beside what is none and what is hidden."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for name in ("a.jpg", "b [red].png", "more/c.webp"):
        (folder / name).write_bytes(b"image " + name.encode())
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.jpg").write_bytes(b"image")
    return folder


@pytest.fixture
def wildtag(gateway: MadeUpGateway, tmp_path: Path) -> Wildtag:
    def run(*arguments: object, url: str | None = gateway.url, **variables: str) -> Run:
        environment = {**os.environ, "WILDTAG_HOME": str(tmp_path / "home"), "COLUMNS": "200", **variables}
        to = [] if url is None else ["--url", url]
        return warm.wildtag("upload", *map(str, arguments), *to, env=environment)

    return run


def lines(run: Run) -> dict[str, Any]:
    """What was printed as JSON, by the file's name."""
    return {Path(line["file"]).name: line for line in map(json.loads, run.stdout.splitlines())}


def test_files_are_uploaded_and_their_ids_shown(gateway: MadeUpGateway, wildtag: Wildtag, photos: Path) -> None:
    run = wildtag(photos / "a.jpg", photos / "b [red].png")
    assert run.returncode == 0, run.stderr
    assert sorted(gateway.stored.values()) == [b"image a.jpg", b"image b [red].png"]
    for part in (*gateway.stored, "b [red].png"):
        assert part in run.stdout


def test_tags_are_waited_for_and_shown_in_the_order_given(wildtag: Wildtag, photos: Path) -> None:
    run = wildtag("--wait", photos / "b [red].png", photos / "a.jpg")
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("cat 0.50") == 2
    assert run.stdout.index("b [red].png") < run.stdout.index("a.jpg")


def test_json_is_one_object_a_file_with_the_record(gateway: MadeUpGateway, wildtag: Wildtag, photos: Path) -> None:
    run = wildtag("--wait", "--json", photos / "a.jpg")
    assert run.returncode == 0, run.stderr
    (line,) = lines(run).values()
    assert line["file"] == str(photos / "a.jpg")
    assert [line["id"]] == list(gateway.stored)
    assert (line["state"], line["record"]["tags"][0]["label"], line["error"]) == ("done", "cat", None)


def test_one_bad_file_does_not_stop_the_rest(gateway: MadeUpGateway, wildtag: Wildtag, photos: Path) -> None:
    run = wildtag("--json", photos / "notes.txt", photos / "missing.jpg", photos / "more", photos / "a.jpg")
    assert run.returncode == 1
    printed = lines(run)
    assert {name: line["error"] and line["error"]["code"] for name, line in printed.items()} == {
        "notes.txt": "not-an-image", "missing.jpg": "unreadable", "more": "refused", "a.jpg": None,
    }  # fmt: skip
    assert printed["notes.txt"]["state"] == "skipped"
    assert list(gateway.stored.values()) == [b"image a.jpg"]
    for part in (
        "notes.txt: skipped: neither its name nor its content is that of an image: the first bytes",
        "missing.jpg: failed: No such file",
        "more: failed: is a folder",
        "1 of 4 files skipped",
        "2 of 4 files failed",
    ):
        assert part in run.stderr


def test_folders_are_walked_when_that_is_wanted(gateway: MadeUpGateway, wildtag: Wildtag, photos: Path) -> None:
    (photos / "more" / "notes.txt").write_text("no image")
    run = wildtag("--recursive", photos, photos / "a.jpg")
    assert run.returncode == 0, run.stderr
    assert "2 of 5 files skipped" in run.stderr
    (reason,) = (line for line in run.stderr.splitlines() if line.startswith("2 files: neither its name"))
    assert run.stderr.count(reason.removeprefix("2 files: ")) == 2, "at the first file, and with the number of files"
    assert wildtag(photos / "notes.txt").returncode == 1, "a file that was named"
    assert sorted(gateway.stored.values()) == [b"image a.jpg", b"image b [red].png", b"image more/c.webp"]


def test_an_image_that_cannot_be_tagged_is_a_failure(gateway: MadeUpGateway, wildtag: Wildtag, photos: Path) -> None:
    gateway.steps = ["queued", "failed"]
    run = wildtag("--wait", photos / "a.jpg")
    assert run.returncode == 1
    assert "failed: no image" in run.stdout
    assert wildtag(photos / "a.jpg").returncode == 0


def test_what_is_not_finished_is_told_with_its_id(gateway: MadeUpGateway, wildtag: Wildtag, photos: Path) -> None:
    gateway.steps = ["queued", "scoring"]
    run = wildtag("--wait", "--timeout", "0.3", "--json", photos / "a.jpg")
    assert run.returncode == 1
    (line,) = lines(run).values()
    assert (line["id"] in gateway.stored, line["error"]["code"]) == (True, "not-finished")
    assert "the state is scoring" in run.stderr
    assert "uploaded: not finished after 0.3 s" in run.stderr
    assert "1 of 1 files uploaded, but not finished" in run.stderr
    assert "failed" not in run.stderr


def test_a_gateway_that_is_busy_is_waited_for(gateway: MadeUpGateway, wildtag: Wildtag, photos: Path) -> None:
    gateway.prepare("/v1/images", *[problem(503, "busy", Retry_After="1")] * 3)
    assert wildtag("-r", photos / "more", photos / "a.jpg").returncode == 0
    assert len(gateway.stored) == 2


def test_a_key_that_is_refused_stops_it(gateway: MadeUpGateway, wildtag: Wildtag, tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.jpg").write_bytes(b"image")
    gateway.prepare("/v1/images", *[problem(401, "unauthorized", "this API key is not known")] * 40)
    run = wildtag(*tmp_path.glob("*.jpg"), WILDTAG_API_KEY="a-key-of-tests")
    assert run.returncode == 1
    assert run.stderr.count("this API key is not known") == 1
    assert "40 of 40 files failed" in run.stderr
    uploads = [asked for asked in gateway.asked if asked.method == "POST"]
    assert len(uploads) < 40
    assert uploads[0].headers["authorization"] == "Bearer a-key-of-tests"


def test_a_key_on_the_command_line_comes_first(gateway: MadeUpGateway, wildtag: Wildtag, photos: Path) -> None:
    assert wildtag(photos / "a.jpg", "--key", "mine", WILDTAG_API_KEY="other").returncode == 0
    assert {asked.headers["authorization"] for asked in gateway.asked} == {"Bearer mine"}


def test_a_key_that_is_none_is_not_shown(wildtag: Wildtag, photos: Path) -> None:
    run = wildtag(photos / "a.jpg", WILDTAG_API_KEY="geheim é")
    assert run.returncode == 2
    assert "WILDTAG_API_KEY" in run.stderr
    assert "geheim" not in run.stderr


def test_it_can_be_interrupted_while_the_gateway_is_silent(gateway: MadeUpGateway, photos: Path) -> None:
    gateway.steps = ["queued"]
    run = subprocess.Popen(
        command("upload", "--wait", str(photos / "a.jpg"), "--url", gateway.url), stderr=subprocess.PIPE, text=True
    )
    eventually(lambda: gateway.stored, 60)
    with gateway.lock:
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Interrupted. 0 of 1" in errors


def test_nobody_there_is_told_at_once(wildtag: Wildtag, photos: Path) -> None:
    run = wildtag(photos / "a.jpg", url=f"http://127.0.0.1:{free_port(0)}")
    assert run.returncode == 1
    assert "cannot reach the gateway" in run.stderr


def test_without_a_stack_it_says_how_to_start_one(wildtag: Wildtag, photos: Path) -> None:
    run = wildtag(photos / "a.jpg", url=None)
    assert run.returncode == 1
    assert "wildtag up" in run.stderr
    assert "--url" in run.stderr


def test_a_name_that_is_no_text_can_be_uploaded(wildtag: Wildtag, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9\x1b[2J.jpg")
    (tmp_path / name).write_bytes(b"image")
    run = wildtag("--json", tmp_path / name)
    assert run.returncode == 0, run.stderr
    assert list(lines(run)) == ["caf\\xe9\x1b[2J.jpg"]
    assert "\x1b" not in wildtag(tmp_path / name).stdout


def test_an_id_is_for_one_file_and_texts_have_names(gateway: MadeUpGateway, wildtag: Wildtag, photos: Path) -> None:
    one, two = photos / "a.jpg", photos / "b [red].png"
    for arguments, reason in [
        ((one, two, "--client-id", "7"), "names one file; here are 2"), ((one, "--metadata", "title"), "NAME=TEXT"),
        ((one, "--metadata", "a=b", "--metadata", "a=c"), "given twice"), ((one, "--metadata", "a=b\nc"), "U+000A"),
        ((one, "--client-id", ""), "is empty"), ((one, "--metadata", "a=" + "x" * 2048), "the limit is 2,048"),
    ]:  # fmt: skip
        run = wildtag(*arguments)
        assert (run.returncode, reason in " ".join(run.stderr.split())) == (2, True), run.stderr
    assert not gateway.stored
