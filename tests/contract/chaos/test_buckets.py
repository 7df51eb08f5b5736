"""A run can have a bucket of an S3 server that runs already: behind the faulty network, and emptied at the end."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from minio import Minio

from ops.bench.moto_server import moto
from ops.chaos import __main__ as command
from ops.chaos.buckets import bucket_at, parsed
from ops.chaos.store_proxy import Trouble
from vectordb.errors import Permanent


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with moto() as url:
        yield url


@pytest.fixture
def client(server: str, monkeypatch: pytest.MonkeyPatch) -> Minio:
    monkeypatch.setenv("WILDTAG_S3_ACCESS_KEY", "somebody")
    monkeypatch.setenv("WILDTAG_S3_SECRET_KEY", "a-secret")
    return Minio(urlsplit(server).netloc, "somebody", "a-secret", secure=False, region="us-east-1")


def test_it_is_made_for_the_run_and_leaves_nothing(server: str, client: Minio, tmp_path: Path) -> None:
    with bucket_at(f"{server}/made", tmp_path) as bucket:
        assert bucket.name == "made"
        assert bucket.proxy is not None
        assert bucket.events is not None
        bucket.shelf.write("album/a&b.jpg", b"content", in_place=False)
        bucket.shelf.write("gone.jpg", b"content", in_place=False)
        bucket.shelf.remove("gone.jpg")
        bucket.shelf.move("album/a&b.jpg", "später/c.jpg")
        behind = Minio(urlsplit(bucket.proxy.url).netloc, "somebody", "a-secret", secure=False, region="us-east-1")
        assert behind.get_object("made", "später/c.jpg").data == b"content"
        assert [one.object_name for one in client.list_objects("made", recursive=True)] == ["später/c.jpg"]
        bucket.proxy.trouble = Trouble.EMPTY
        assert not list(behind.list_objects("made", recursive=True))
        assert {event["eventName"] for event in bucket.events.events} >= {"s3:ObjectCreated:Put"}
    assert not client.bucket_exists("made")


def test_one_that_was_there_stays_and_is_emptied_with_its_older_versions(
    server: str, client: Minio, tmp_path: Path
) -> None:
    client.make_bucket("kept")
    with bucket_at(f"{server}/kept", tmp_path) as bucket:
        for content in (b"one", b"two"):
            bucket.shelf.write("a.jpg", content, in_place=False)
    assert client.bucket_exists("kept")
    assert not list(client.list_objects("kept", recursive=True, include_version=True))


def test_objects_of_others_are_never_removed(server: str, client: Minio, tmp_path: Path) -> None:
    client.make_bucket("theirs")
    client.put_object("theirs", "photo.jpg", io.BytesIO(b"theirs"), 6)
    with pytest.raises(Permanent, match="has objects"), bucket_at(f"{server}/theirs", tmp_path):
        pass
    assert client.get_object("theirs", "photo.jpg").data == b"theirs"


def test_a_server_that_does_not_answer_is_named(client: Minio, tmp_path: Path) -> None:
    _ = client
    nowhere = "http://127.0.0.1:1"
    with pytest.raises(Permanent, match=f"{nowhere} cannot be used"), bucket_at(f"{nowhere}/photos", tmp_path):
        pass


@pytest.mark.parametrize("where", ["ftp://server/photos", "http://server", "http://server/a/b", "folders"])
def test_other_addresses_are_refused(where: str) -> None:
    with pytest.raises(ValueError, match="is neither"):
        parsed(where)
    with pytest.raises(SystemExit) as ended:
        command.main(["--bucket", where])
    assert ended.value.code == 2
