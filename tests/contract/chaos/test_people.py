"""What people do over the API is repeated until it is answered, and only what was answered counts as done."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ops.chaos import people as module
from ops.chaos.album import Album
from ops.chaos.captions import Switches
from ops.chaos.people import People, Said, standing
from ops.chaos.plan import Act
from ops.chaos.shelves import FolderShelf

KEY = "album/one.jpg"
RECORD = {"etag": "e1", "tags": [{"label": "cat", "score": 0.6}]}


@contextmanager
def gateway(*answers: tuple[int, object]) -> Iterator[tuple[str, list[tuple[str, str, str | None]]]]:
    """Its URL, and what it was asked: method, path and Idempotency-Key. It gives these answers in turn."""
    left, asked = list(answers), list[tuple[str, str, str | None]]()

    class Handler(BaseHTTPRequestHandler):
        def do_any(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            asked.append((self.command, self.path, self.headers.get("idempotency-key")))
            status, body = left.pop(0)
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_any  # noqa: N815 -- the names that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Album:
    monkeypatch.setattr(module, "_PAUSE_S", 0.01)
    made = Album(FolderShelf(tmp_path))
    made.put(KEY, 0, 1.0)
    return made


def people(album: Album, url: str) -> People:
    return People(album, lambda: url, "a-key", Switches(dict, [], "v@1"), lambda: 77)


def act(what: str, variant: float) -> Act:
    return Act(1.0, what, "00009.jpg", 3, 0.5, variant)


def test_an_upload_is_repeated_with_its_key_until_it_is_accepted(album: Album) -> None:
    with gateway((503, {}), (409, {}), (202, {"key": "uploads/x.jpg"})) as (url, asked):
        crowd = people(album, url)
        assert crowd.act(act("upload", 0.1)) == ("uploads/x.jpg",)
    assert len({key for _, _, key in asked}) == 1
    assert asked[0][1] == "/v1/images?segment=regions"
    assert album.there() == {KEY: 0, "uploads/x.jpg": 3}
    assert crowd.segmented.keys() == {"uploads/x.jpg"}


def test_what_is_refused_is_not_promised(album: Album) -> None:
    with gateway((415, {}), (404, {})) as (url, _):
        crowd = people(album, url)
        assert crowd.act(act("upload", 0.9)) == crowd.act(act("retag", 0.9)) == ()
    assert crowd.refused == ["00009.jpg"]
    assert not crowd.retagged
    assert album.there() == {KEY: 0}


def test_statements_count_as_they_were_answered(album: Album) -> None:
    taught = {"record": RECORD, "near": [{"key": "near.jpg"}], "problem": None}
    with gateway((200, taught), (200, {"record": RECORD}), (200, taught), (500, {}), (409, {})) as (url, asked):
        crowd = people(album, url)
        assert crowd.act(act("say", 0.1)) == (KEY, "near.jpg")
        assert crowd.act(act("say", 0.9)) == (KEY, "near.jpg")
        assert crowd.act(act("say", 0.1)) == ()  # it may have been stored by the first try
    assert [(one.label, one.accepted) for one in crowd.said] == [("chaos 00009", True), ("cat", False)]
    assert crowd.unsure == {(KEY, "chaos 00009")}
    assert asked[1][:2] == ("GET", "/v1/objects/inbox/album/one.jpg")


def test_a_retag_is_noted_with_the_clock_of_redis(album: Album) -> None:
    with gateway((202, {})) as (url, _):
        crowd = people(album, url)
        assert crowd.act(act("retag", 0.1)) == (KEY,)
    assert [(one.key, one.at_ms) for one in crowd.retagged] == [(KEY, 77)]


def test_captions_are_taught_by_command(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    taught: list[str] = []
    monkeypatch.setattr(Switches, "teach", lambda _, text: taught.append(text))
    crowd = people(album, "")
    assert crowd.act(act("teach", 0.1)) == crowd.act(act("teach", 0.9)) == ()
    assert taught == [f"{lesson} 00009" for lesson in module.LESSONS]


def test_statements_move_with_their_object_and_the_last_one_holds() -> None:
    said = [Said(key, label, accepted, "e", 1.0, None, ()) for key, label, accepted in (
        ("a", "cat", True), ("b", "cat", None), ("a", "dog", True), ("z", "cow", True),
    )]  # fmt: skip
    found = standing(said, {"b": "a"}, "b")
    assert {label: one.accepted for label, one in found.items()} == {"cat": None, "dog": True}
