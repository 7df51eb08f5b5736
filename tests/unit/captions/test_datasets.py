"""Published caption sets: the list, and downloads from a server that breaks off, changes its files, and refuses."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from vectordb.errors import Transient
from workers.captions.datasets import BadDownload, Dataset, NoDataset, catalogue, download, fetch
from workers.captions.datasets.dataset_files import known_version, remove_files

CONTENT = b"".join(b"a photo of a thing, number %d\n" % number for number in range(40_000))


class Source:
    """A server of files, by path. ``breaks``: after how many bytes answers end. ``ranges``: what was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.headers: dict[str, str] = {}
        self.breaks: list[int] = []
        self.ranges: list[str | None] = []
        self.status = 200
        self.dropped = 0  # requests that get no answer
        source = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                source.answer(self)

            do_HEAD = do_GET  # noqa: N815 - the base's way

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        if self.dropped:
            self.dropped -= 1
            request.close_connection = True
            return
        if request.path not in self.files:
            request.send_response(self.status if self.status >= 400 else 404)
            for name, value in {**self.headers, "Content-Length": "0"}.items():
                request.send_header(name, value)
            request.end_headers()
            return
        content, asked = self.files[request.path], request.headers.get("Range")
        self.ranges.append(asked)
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        begin = int(asked[6:-1]) if asked and request.headers.get("If-Range") == etag else 0
        request.send_response(206 if begin else self.status)
        request.send_header("ETag", etag)
        request.send_header("Content-Length", str(len(content) - begin))
        if begin:
            request.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        for name, value in self.headers.items():
            request.send_header(name, value)
        request.end_headers()
        if request.command == "HEAD":
            return
        end = begin + self.breaks.pop(0) if self.breaks else len(content)
        request.wfile.write(content[begin:end])
        request.close_connection = True


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    monkeypatch.setattr("workers.captions.datasets.download.PAUSE_S", 0.0)
    made = Source()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def dataset(source: Source) -> Callable[..., Dataset]:
    def make(path: str = "/set.txt", **fields: Any) -> Dataset:
        return Dataset(
            name="set", title="A set", licence="none", source=source.url, urls=(source.url + path,), **fields
        )

    return make


def quiet(_done: int, _total: int | None) -> None:
    pass


def test_the_list_says_for_each_value_where_it_comes_from() -> None:
    listed = catalogue()
    assert {"cc3m", "cc12m", "coco"} <= set(listed)
    for one in listed.values():
        stated = {"captions", "bytes", "column", "sha256"} & {f for f in one.__struct_fields__ if getattr(one, f)}
        assert {"licence", *stated} == set(one.facts), one.name
        assert one.source.startswith("https://")


@pytest.mark.parametrize("text", [
    "no = toml = at all", '[a]\ntitle = "t"', '["a/b"]\ntitle = "t"\nlicence = "l"\nsource = "s"\nurls = ["u"]',
    '[a]\ntitle = "t"\nlicence = "l"\nsource = "s"', '[a]\ntitle = "t"\nlicence = "l"\nsource = "s"\nhub = "h/h"',
    '[a]\ntitle = "t"\nlicence = "l"\nsource = "s"\nurls = ["u"]\nmisspelt = 1',
])  # fmt: skip
def test_a_list_that_is_wrong_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(NoDataset, match=r"mine\.toml"):
        catalogue(path)


def test_a_download_that_breaks_off_is_continued(source: Source, tmp_path: Path) -> None:
    source.files["/set.txt"] = CONTENT
    source.breaks = [100_000, 200_000]
    seen: list[tuple[int, int | None]] = []
    download.download(f"{source.url}/set.txt", tmp_path / "set.txt", lambda *at: seen.append(at))
    assert (tmp_path / "set.txt").read_bytes() == CONTENT
    assert source.ranges == [None, "bytes=100000-", "bytes=300000-"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [file.name for file in tmp_path.iterdir()] == ["set.txt"]


def test_a_file_that_changed_in_between_is_begun_again(source: Source, tmp_path: Path) -> None:
    source.files["/set.txt"], source.breaks = b"x" * 500_000, [0] * download.ATTEMPTS
    source.breaks[0] = 100_000
    with pytest.raises(Transient, match="run the same command again"):
        download.download(f"{source.url}/set.txt", tmp_path / "set.txt", quiet)
    source.files["/set.txt"] = CONTENT
    download.download(f"{source.url}/set.txt", tmp_path / "set.txt", quiet)
    assert (tmp_path / "set.txt").read_bytes() == CONTENT


def test_a_file_without_end_and_a_server_that_is_away_are_temporary(source: Source, tmp_path: Path) -> None:
    source.files["/set.txt"], source.status = CONTENT, 503
    with pytest.raises(Transient, match="503"):
        download.download(f"{source.url}/set.txt", tmp_path / "set.txt", quiet)


def test_where_no_connection_existed_it_fails_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = []
    rest = download._rest

    def counting(*given: Any) -> None:
        attempts.append(given)
        rest(*given)

    monkeypatch.setattr(download, "_rest", counting)
    with pytest.raises(Transient, match=r"no connection to 127\.0\.0\.1 .* run the same command again"):
        download.download("http://127.0.0.1:1/set.txt", tmp_path / "set.txt", quiet)
    assert len(attempts) == 2


@pytest.mark.parametrize("how", ["checksum", "page", "refused"])
def test_what_is_not_the_file_is_refused_and_not_kept(source: Source, tmp_path: Path, how: str) -> None:
    source.files["/set.txt"] = CONTENT
    other = base64.b64encode(hashlib.md5(b"other", usedforsecurity=False).digest()).decode()
    headers = {"checksum": {"x-goog-hash": f"crc32c=AAAAAA==, md5={other}"}, "page": {"Content-Type": "text/html"}}
    source.headers = headers.get(how, {})
    source.status = 403 if how == "refused" else 200
    with pytest.raises(BadDownload, match={"checksum": "checksum", "page": "login", "refused": "403"}[how]):
        download.download(f"{source.url}/set.txt", tmp_path / "set.txt", quiet)
    assert not list(tmp_path.iterdir())


def test_the_servers_checksum_is_accepted_where_it_is_right(source: Source, tmp_path: Path) -> None:
    source.files["/set.txt"] = CONTENT
    right = base64.b64encode(hashlib.md5(CONTENT, usedforsecurity=False).digest()).decode()
    source.headers = {"x-goog-hash": f"crc32c=AAAAAA==,md5={right}"}
    download.download(f"{source.url}/set.txt", tmp_path / "set.txt", quiet)
    assert (tmp_path / "set.txt").read_bytes() == CONTENT


def test_checksums_are_recorded_and_the_version_is_that_of_the_content(
    source: Source, dataset: Callable[..., Dataset], tmp_path: Path
) -> None:
    source.files["/set.txt"] = CONTENT
    first = fetch(dataset(), tmp_path / "a", quiet)
    again = fetch(dataset(), tmp_path / "a", quiet)
    other = fetch(dataset(), tmp_path / "b", quiet)
    assert first == again
    assert first.version == other.version == known_version(tmp_path / "a")
    assert len(source.ranges) == 2  # nothing was downloaded twice
    assert first.files[0].stat().st_mtime == other.files[0].stat().st_mtime
    remove_files(first)
    assert known_version(tmp_path / "a") == first.version
    source.files["/set.txt"] = CONTENT + b"one more\n"
    with pytest.raises(BadDownload, match="is not what was fetched before"):
        fetch(dataset(), tmp_path / "a", quiet)


def test_a_published_checksum_is_compared(source: Source, dataset: Callable[..., Dataset], tmp_path: Path) -> None:
    source.files["/set.txt"] = CONTENT
    with pytest.raises(BadDownload, match="published"):
        fetch(dataset(sha256="0" * 64), tmp_path, quiet)
    assert fetch(dataset(sha256=hashlib.sha256(CONTENT).hexdigest()), tmp_path, quiet).files[0].exists()


def test_one_file_is_taken_out_of_an_archive(source: Source, dataset: Callable[..., Dataset], tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations/captions.json", CONTENT)
    source.files = {"/set.zip": packed.getvalue(), "/bad.zip": CONTENT}
    fetched = fetch(dataset("/set.zip", member="annotations/captions.json"), tmp_path / "a", quiet)
    assert fetched.files[0].read_bytes() == CONTENT
    for path, member in (("/set.zip", "annotations/other.json"), ("/bad.zip", "annotations/captions.json")):
        with pytest.raises(BadDownload, match="is not a ZIP archive with"):
            fetch(dataset(path, member=member), tmp_path / "b", quiet)


def on_hub(source: Source, files: dict[str, bytes], stated: dict[str, str]) -> Dataset:
    """A set of a made-up hub with the answers that huggingface_hub 2.4 needs. ``stated``: false checksums."""
    tree = []
    for path, content in files.items():
        sum_ = stated.get(path, hashlib.sha256(content).hexdigest())
        tree.append({"type": "file", "path": path, "size": len(content), "oid": "0" * 40,
                     "lfs": {"oid": sum_, "size": len(content), "pointerSize": 130}})  # fmt: skip
        source.files[f"/datasets/some/set/resolve/main/{path}"] = content
        source.files[f"/datasets/some/set/resolve/{'1' * 40}/{path}"] = content
    source.files["/api/datasets/some/set/tree/main?recursive=true&expand=false"] = json.dumps(tree).encode()
    source.headers = {"X-Repo-Commit": "1" * 40}
    return Dataset(
        name="set", title="A set", licence="none", source=source.url, hub="some/set", files="data/train-*.txt", most=2
    )


def test_files_of_a_hub_are_fetched_in_natural_order(source: Source, tmp_path: Path) -> None:
    files = {f"data/train-{n}.txt": b"number %d\n" % n * 100 for n in (10, 9, 11)} | {"data/test-0.txt": b"no"}
    fetched = fetch(on_hub(source, files, {}), tmp_path, quiet, source.url)
    assert [file.relative_to(tmp_path).as_posix() for file in fetched.files] == [
        "data/train-9.txt",
        "data/train-10.txt",
    ]
    assert [file.read_bytes() for file in fetched.files] == [files["data/train-9.txt"], files["data/train-10.txt"]]


def test_a_hub_that_closes_a_connection_without_an_answer_is_asked_again(source: Source, tmp_path: Path) -> None:
    dataset = on_hub(source, {"data/train-1.txt": b"one\n", "data/train-2.txt": b"two\n"}, {})
    source.dropped = 2  # the question whether the hub is there takes any answer
    fetched = fetch(dataset, tmp_path, quiet, source.url)
    assert [file.read_bytes() for file in fetched.files] == [b"one\n", b"two\n"]


def test_a_checksum_of_the_hub_is_compared(source: Source, tmp_path: Path) -> None:
    files = {"data/train-1.txt": b"one\n"}
    with pytest.raises(BadDownload, match="SHA-256 that the hub states"):
        fetch(on_hub(source, files, {"data/train-1.txt": "0" * 64}), tmp_path, quiet, source.url)


@pytest.mark.parametrize(("status", "code", "said"), [
    (403, "GatedRepo", "accepted its terms"), (401, "RepoNotFound", "not on the hub"), (200, "", "not on the hub"),
])  # fmt: skip
def test_what_the_hub_refuses_is_said_with_what_helps(
    source: Source, tmp_path: Path, status: int, code: str, said: str
) -> None:
    dataset = on_hub(source, {}, {})
    source.files.clear()
    source.status, source.headers = status, {"X-Error-Code": code} if code else {"X-Error-Code": "RepoNotFound"}
    with pytest.raises(BadDownload, match=said):
        fetch(dataset, tmp_path, quiet, source.url)


def test_a_hub_without_the_files_any_more_and_one_that_is_away(source: Source, tmp_path: Path) -> None:
    with pytest.raises(BadDownload, match="has no files data/train"):
        fetch(on_hub(source, {"data/test-0.txt": b"no"}, {}), tmp_path, quiet, source.url)
    with pytest.raises(Transient, match=r"no connection to the hub at http://127\.0\.0\.1:1 "):
        fetch(on_hub(source, {}, {}), tmp_path, quiet, "http://127.0.0.1:1")
